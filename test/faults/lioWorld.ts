import * as iscsi from "../../tools/iscsi.mjs";
import { CLIENT } from "../support/client";
import { LvmHost, lvmHost } from "./lvmWorld";
import type { LoginAs, World } from "./world";

type State = Parameters<World["login"]>[0];

const PORTS = [3260, 3261] as const;
const TARGETS = "/sys/kernel/config/target";

/** A storage host of the lab that exports thin volumes by LIO; QEMU and libiscsi on this machine are the initiators. */
export async function lioWorld(): Promise<World> {
    const [backend, proxy] = await lvmHost("thin");
    // Emulated, beside others, that can take longer than a plan may; and each boot loads them, as exports do.
    await backend.run("modprobe -a iscsi_target_mod target_core_iblock target_core_file");
    const shown = await backend.run("ip -o -4 addr show dev eth0");
    const address = /inet ([0-9.]+)\//.exec(shown)?.[1] ?? "";
    const ports = new Map<string, number>();
    for (const port of PORTS) {
        const outside = port === 3260 ? backend.host.portTo(port) : await backend.host.forward(port);
        ports.set(`${address}:${String(port)}`, outside);
    }
    return new LioHost(ports, "thin", backend, proxy);
}

class LioHost extends LvmHost {
    override readonly title = "LVM, thin; LIO";
    override readonly exports = true;

    /** @param portals as the host has them → port of 127.0.0.1 that leads there */
    constructor(
        private readonly portals: ReadonlyMap<string, number>,
        ...more: ConstructorParameters<typeof LvmHost>
    ) {
        super(...more);
    }

    override configuration(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
        const targets = { iscsi: { helper: "lio", portals: [...this.portals.keys()] } };
        return super.configuration({ targets, ...more });
    }

    private lun(state: State, { initiator = CLIENT, portal }: LoginAs = {}): ReturnType<typeof iscsi.lunOf> {
        const lun = iscsi.lunOf(state.connection, initiator);
        const outside = this.portals.get(portal ?? lun.portal) ?? 0;
        return { ...lun, portal: `127.0.0.1:${String(outside)}` };
    }

    override async login(state: State, as: LoginAs = {}): Promise<string> {
        const lun = this.lun(state, as);
        const { chap: _, ...open } = lun;
        const answer = await iscsi.login({
            ...("chap" in as && as.chap === undefined ? open : lun),
            ...(as.chap === undefined ? {} : { chap: as.chap }),
            ...(as.mutual === undefined ? {} : { mutual: as.mutual }),
        });
        return answer.ok ? "" : answer.reason || "refused";
    }

    override capacity(state: State): Promise<number> {
        return iscsi.capacity(this.lun(state));
    }

    override readThrough(state: State, length: number): Promise<Buffer> {
        return iscsi.read(this.lun(state), { offset: 0, length });
    }

    override async targets(): Promise<string[]> {
        const shown = await this.sh(`ls ${TARGETS}/iscsi 2>/dev/null | grep '^iqn' || :`);
        return shown.split("\n").filter((line) => line !== "");
    }

    override async dropTarget(targetName: string): Promise<void> {
        await this.sh(`cd ${TARGETS}/iscsi/${targetName} && printf 0 > tpgt_1/enable &&
rm tpgt_1/acls/*/lun_*/blockhost tpgt_1/lun/lun_0/blockhost &&
rmdir tpgt_1/acls/*/lun_* tpgt_1/acls/* tpgt_1/lun/lun_0 tpgt_1/np/* tpgt_1 && cd .. && rmdir ${targetName}`);
    }

    override exportOwner(name: string): Promise<string> {
        const { stateDirectory } = this.backend;
        return this.sh(`sed -n 's/^#bh mark //p' ${stateDirectory}/exports/iscsi/${name}`);
    }

    /** With all that configfs has of LIO, secrets included, and what boot files say. */
    override async inventory(): Promise<string[]> {
        const { stateDirectory } = this.backend;
        const text = await this.sh(`
cd ${stateDirectory}/exports/iscsi 2>/dev/null && for boot in *; do
    [ -e "$boot" ] && sed -n "/^#bh \\(mark\\|applied\\|size\\|activate\\|device\\|secrets\\)/s|^|$boot |p" "$boot"
done
[ ! -e /run/systemd/generator ] || ls /etc/systemd/system/*/blockhost-exports* 2>/dev/null | sed 's/^/enabled /'
cd ${TARGETS} 2>/dev/null || exit 0
find core iscsi \\( -name '*statistics' -o -name alua -o -name pr \\) -prune -o -type l -printf 'lio %p -> %l\\n' -o -type d -printf 'lio %p\\n'
grep -rs --exclude-dir='*statistics' --exclude-dir=alua --exclude-dir=pr --exclude=info --exclude-dir=wwn . core iscsi | sed 's/^/lio /'`);
        const lines = text.split("\n").filter((line) => line !== "");
        return [...(await super.inventory()), ...lines.map(withoutIdentity)].sort();
    }
}

/** What is new with each making of an export. */
function withoutIdentity(line: string): string {
    return line
        .replace(/\b[0-9a-f]{16}\b/g, "GENERATION")
        .replace(/(:[A-Za-z0-9._-]+):[0-9a-f]{8}\b/g, "$1:GENERATION")
        .replace(/((?:iblock|fileio)_)\d+\/([^/]+)\.[0-9a-f]{8}\b/g, "$1N/$2.GENERATION")
        .replace(/((?:iblock|fileio)_)\d+/g, "$1N");
}
