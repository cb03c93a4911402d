import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeMark } from "../../provider/host/mark";
import { getManageable } from "../../provider/resources/functions/manageable";
import { Client, HOST, MiB, POOL } from "../support/client";
import { type Lab, startLab } from "./lab.mjs";

/** What many logical volumes cost: reading them is one run on the host, and one process of LVM, whatever their number. */

const COUNT = 1000;
const GROUP = "vgmany";

let lab: Lab;
const client = () =>
    new Client(lab.host("a"), {
        configuration: { pools: { [POOL]: { driver: "lvm", volumeGroup: GROUP } } },
    });

beforeAll(async () => {
    lab = await startLab({ hosts: ["a"] });
    const host = lab.host("a");
    const disks = ["disk1", "disk2"].map((disk) => host.diskPath(disk)).join(" ");
    await host.run(`wipefs -q -a ${disks} && vgcreate -q --metadatasize 32m ${GROUP} ${disks}`);
});
afterAll(async () => {
    await lab.stop();
});

test("a thousand are refreshed in one run, and listed in one", { timeout: 1_800_000 }, async () => {
    const maker = client();
    const first = await maker.volume("v0");
    const names = Array.from({ length: COUNT - 1 }, (_, i) => `v${String(i + 1)}`);
    const { generation } = first;
    // As the driver would have left them; by the driver itself it would take a quarter of an hour, emulated.
    const commands = names.map((name) => {
        const owner = { installation: "default", ...maker.owner(name) };
        const tag = encodeMark({ kind: "volume", owner, generation, phase: "ready", extra: {} });
        return `lvcreate -an -Zn -Wn -l 1 -n ${name} --addtag ${tag} ${GROUP} --config 'backup { archive=0 backup=0 }'`;
    });
    await lab.host("a").run(
        `cat >/run/commands <<'X'\n${commands.join("\n")}\nX\nlvm </run/commands >/dev/null 2>&1
[ "$(lvs --noheadings -o lv_name ${GROUP} | wc -l)" = ${String(COUNT)} ] && vgchange -q -ay ${GROUP} >/dev/null`,
        { timeoutMs: 1_500_000 },
    );
    await maker.close();
    const states = ["v0", ...names].map((name) => ({
        ...first,
        name,
        owner: maker.owner(name),
        path: `/dev/${GROUP}/${name}`,
        sizeBytes: 4 * MiB,
    }));
    const fresh = client();
    const found = await Promise.all(states.map((state) => fresh.read(state)));
    expect(found).toEqual(states);
    expect(fresh.runs).toBe(1);
    expect(fresh.host.counters.connections).toBe(1);
    await fresh.close();
    const other = client();
    const { total } = (await getManageable.run(other.context, { host: HOST, pool: POOL })) as {
        total: number;
    };
    expect(total).toBe(COUNT);
    expect(other.runs).toBe(1);
    await other.close();
});
