import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Declared } from "../../../provider/clients/types";

/** A client that is made up of files: the real shell text runs on them, with what needs a kernel as shell functions. */

export const TARGET = "iqn.2010-10.org.blockhost:pg:8043fcdb";
export const NQN = "nqn.2010-10.org.blockhost:pg:8043fcdb";
export const SERIAL = "8043fcdb66447f59";
export const UUID = "0e4b1f9a-1111-4222-8333-444455556666";

export const ISCSI: Declared = {
    digest: "",
    protocol: "iscsi",
    target: TARGET,
    portals: ["10.0.0.5:3260"],
    unit: 0,
    serial: SERIAL,
    paths: "one",
    multipath: "none",
    initiator: "iqn.2024-01.com.example:db1",
};
export const NVME: Declared = {
    digest: "",
    protocol: "nvme-tcp",
    target: NQN,
    portals: ["10.0.0.5:4420"],
    unit: 1,
    uuid: UUID,
    paths: "one",
    multipath: "none",
    initiator: "nqn.2014-08.org.nvmexpress:uuid:1",
};

/** Of what a link of /proc leads to, as made nodes are files: the device number that sysfs has for their name. */
const STAT = `stat() {
    shift 3
    for f; do
        to=$(readlink -f "$f")
        { read -r n < "$R/sys/class/block/\${to##*/}/dev"; } 2>/dev/null || continue
        printf '%x:%x %s\\n' "\${n%:*}" "\${n#*:}" "$f"
    done
}`;

export class Made {
    readonly root = mkdtempSync(join(tmpdir(), "bh-client-"));

    constructor(private readonly shell: readonly [string, ...string[]] = ["sh"]) {
        this.file("sys/module/iscsi_tcp/refcnt");
    }

    file(path: string, text = ""): void {
        const at = join(this.root, path);
        mkdirSync(dirname(at), { recursive: true });
        writeFileSync(at, text);
    }

    link(path: string, to: string): void {
        const at = join(this.root, path);
        mkdirSync(dirname(at), { recursive: true });
        symlinkSync(join(this.root, to), at);
    }

    /** A session with one device. */
    session(n = 1, block = "sda", { state = "LOGGED_IN", serial = SERIAL } = {}): void {
        const at = `sys/class/iscsi_session/session${String(n)}`;
        const node = `${at}/device/target0/0:0:0:0`;
        this.file(`${at}/targetname`, `${TARGET}\n`);
        this.file(`${at}/state`, `${state}\n`);
        this.file(`${at}/recovery_tmo`, "120\n");
        this.file(`sys/class/iscsi_connection/connection${String(n)}:0/persistent_address`, "10.0.0.5\n");
        this.file(`sys/class/iscsi_connection/connection${String(n)}:0/persistent_port`, "3260\n");
        this.file(`${node}/wwid`, `naa.60014058043fcdb66447f59000000000\n`);
        this.file(`${node}/vpd_pg80`, `\0\x08\0\x10${serial}`);
        this.file(`${node}/block/${block}/size`, "131072\n");
        this.block(block);
    }

    controller(
        keys: { key?: string; controllerKey?: string } = {},
        state = "live",
        name = "nvme0",
        native = "Y",
    ): void {
        const at = `sys/class/nvme/${name}`;
        this.file(`${at}/${name.replace("nvme", "nvme0c")}n1/nsid`, "1\n");
        this.file(`${at}/delete_controller`);
        this.file("sys/module/nvme_core/parameters/multipath", `${native}\n`);
        this.file(`${at}/transport`, "tcp\n");
        this.file(`${at}/subsysnqn`, `${NQN}\n`);
        this.file(`${at}/address`, "traddr=10.0.0.5,trsvcid=4420,src_addr=10.0.0.9\n");
        this.file(`${at}/state`, `${state}\n`);
        this.file(`${at}/hostnqn`, "nqn.2014-08.org.nvmexpress:uuid:1\n");
        this.file(`${at}/dhchap_secret`, `${keys.key ?? "none"}\n`);
        this.file(`${at}/dhchap_ctrl_secret`, `${keys.controllerKey ?? "none"}\n`);
        this.file("etc/nvme/hostnqn", "nqn.2014-08.org.nvmexpress:uuid:1\n");
        this.file("etc/nvme/hostid", "1\n");
        this.file(
            "dev/nvme-fabrics",
            "transport=%s,traddr=%s,nqn=%s,dhchap_secret=%s,dhchap_ctrl_secret=%s\n",
        );
        this.file("sys/module/nvme_tcp/refcnt");
    }

    /** @param of what sysfs has it under: the target, or where the kernel does not join paths, a controller. */
    namespace(
        uuid = UUID,
        nsid = 1,
        block = `nvme0n${String(nsid)}`,
        of = "nvme-subsystem/nvme-subsys0",
    ): void {
        const at = `sys/block/${block}`;
        this.file(`sys/class/${of}/subsysnqn`, `${NQN}\n`);
        this.link(`${at}/device`, `sys/class/${of}`);
        this.file(`${at}/nsid`, `${String(nsid)}\n`);
        this.file(`${at}/uuid`, `${uuid}\n`);
        this.file(`${at}/wwid`, `uuid.${uuid}\n`);
        this.block(block, `259:${String(nsid)}`);
    }

    /** A multipath device, and what kpartx has made of its partition. */
    partitioned(): void {
        this.session();
        this.file("sys/class/block/sda/holders/dm-1/dm/uuid", "mpath-360014058043fcdb66447f59000000000\n");
        this.block("dm-1", "253:1");
        this.block("dm-2", "253:2");
        this.file(
            "sys/class/block/dm-1/holders/dm-2/dm/uuid",
            "part1-mpath-360014058043fcdb66447f59000000000\n",
        );
        this.file("sys/class/block/dm-1/holders/dm-2/dm/name", "mpatha-part1\n");
    }

    /** @param parent of a partition. */
    block(name: string, number = "8:0", parent?: string): void {
        for (const at of [name, ...(parent === undefined ? [] : [`${parent}/${name}`])]) {
            this.file(`sys/class/block/${at}/dev`, `${number}\n`);
            this.file(`sys/class/block/${at}/size`, "131072\n");
            this.file(`sys/class/block/${at}/stat`, "1 0 8 0 5 0 40 0 0 0 0\n");
            if (parent !== undefined) this.file(`sys/class/block/${at}/partition`, "1\n");
        }
        this.file(`dev/${name}`);
    }

    process(pid: number, comm: string, open: string, pending = "0000000000000000"): void {
        this.file(`proc/${String(pid)}/comm`, `${comm}\n`);
        this.file(
            `proc/${String(pid)}/status`,
            `Name:\t${comm}\nSigPnd:\t${pending}\nShdPnd:\t0000000000000000\n`,
        );
        this.link(`proc/${String(pid)}/fd/3`, open);
    }

    /** Runs a script on it; what it says has no trace of where it is made up. */
    run(script: string, functions = "", ...stage: string[]) {
        if (!existsSync(join(this.root, "proc/swaps"))) this.file("proc/swaps");
        const text = script
            .replaceAll(/\/(sys|proc|etc|run|var)\//g, `${this.root}/$1/`)
            .replaceAll(/\/dev\/(?!null)/g, `${this.root}/dev/`)
            .replaceAll('[ -b "$link" ]', ":")
            .replaceAll("-xtype b", "-xtype f");
        const [command, ...options] = this.shell;
        const { status, stdout, stderr } = spawnSync(command, [...options, "-s", "--", ...stage], {
            input: `R=${this.root}\n(${STAT}\n${functions}\n${text}\n)`,
            encoding: "utf8",
            timeout: 20_000,
        });
        return { status, stdout: stdout.replaceAll(this.root, ""), stderr: stderr.replaceAll(this.root, "") };
    }

    remove(): void {
        rmSync(this.root, { recursive: true, force: true });
    }
}
