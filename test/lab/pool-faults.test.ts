import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { pool, type PoolState } from "../../provider/resources/pool";
import { IncompleteCreation } from "../../provider/resources/creation";
import { poolInputs } from "../support/client";
import { Saboteur } from "../support/saboteur";
import { CLEAN, PoolClient, labOfOne } from "./poolLab";

/**
 * Making, changing and deleting pools, ended on the host before the first step and after each of them. The
 * next process is asked for the same: it must end as declared, with nothing left over.
 */

vi.setConfig({ testTimeout: 3_600_000 });

let stop: () => Promise<void>;
let host: ReturnType<Awaited<ReturnType<typeof labOfOne>>["lab"]["host"]>;
const opened: PoolClient[] = [];

beforeAll(async () => {
    const started = await labOfOne();
    stop = started.stop;
    host = started.lab.host("a");
});
afterAll(() => stop());
beforeEach(async () => {
    await host.run(CLEAN);
});
afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
});

function another(options: ConstructorParameters<typeof PoolClient>[1] = {}): PoolClient {
    const one = new PoolClient(host, options);
    opened.push(one);
    return one;
}
const disk = (number: number) => host.diskPath(`disk${String(number)}`);
const output = async (script: string) => (await host.run(script)).stdout.trim();

/** Does something that ends at a point, on the host and here. `true`: it ended before the point came. */
async function killedAt(point: number, act: (client: PoolClient) => Promise<unknown>): Promise<boolean> {
    const saboteur = new Saboteur({ where: "ends", at: point });
    const client = another({ transport: saboteur.transport });
    try {
        await act(client);
        return true;
    } catch {
        return false;
    } finally {
        await client.close();
    }
}

/** Disks that carry a label, and groups, marks and profiles: all that there can be of pools on the host. */
const everything = () =>
    output(`pvs --noheadings -o pv_name,vg_name,pv_allocatable | sort
        vgs --noheadings -o vg_name,vg_tags | sed 's/gen:[0-9a-f]*/gen:/'
        lvs -a --noheadings -o lv_name,lv_size,lv_when_full,lv_profile,seg_monitor | sort
        ls /etc/lvm/profile | grep blockhost-; ls /var/lib/blockhost/units 2>/dev/null; :`);

describe("a pool, cut short at every point of", () => {
    test("making it", async () => {
        const declared = { disks: [disk(1), disk(2)], whenFull: "error" as const };
        await another().make(declared);
        const whole = await everything();
        for (let point = 0; ; point++) {
            await host.run(CLEAN);
            let recorded: PoolState | undefined;
            const ended = await killedAt(point, async (client) => {
                try {
                    await client.make(declared);
                } catch (error) {
                    if (error instanceof IncompleteCreation) recorded = error.state as PoolState;
                    throw error;
                }
            });
            if (ended) {
                expect(point).toBeGreaterThan(5);
                break;
            }
            // What Pulumi does next depends on whether something was recorded.
            const next = another();
            const made =
                recorded === undefined
                    ? await next.make(declared)
                    : await pool.update(next.context, recorded, next.args(declared));
            expect(made.incomplete, `after point ${String(point)}`).toBeUndefined();
            expect(await everything(), `after point ${String(point)}`).toBe(whole);
        }
    });

    test("adding a disk and removing one", async () => {
        const before = await another().make({ disks: [disk(1)], size: "64MiB" });
        const change = { disks: [disk(2)] };
        for (let point = 0; ; point++) {
            const state = point === 0 ? before : await another().change(before, { disks: [disk(1)] });
            const ended = await killedAt(point, (client) => client.change(state, change));
            const changed = ended ? undefined : await another().change(state, change);
            expect(await output("pvs --noheadings -o pv_name | wc -l"), `after point ${String(point)}`).toBe(
                "1",
            );
            expect(await output(`wipefs -n -i -O TYPE ${disk(1)}; ls /var/lib/blockhost/units`)).toBe("");
            if (ended) {
                expect(point).toBeGreaterThan(5);
                break;
            }
            expect(Object.keys(changed?.members ?? {})).toEqual([disk(2)]);
            const back = await another().change(changed ?? state, { disks: [disk(1)] });
            expect(Object.keys(back.members)).toEqual([disk(1)]);
            Object.assign(before, back, poolInputs(back));
        }
    });

    test("deleting it", async () => {
        for (let point = 0; ; point++) {
            await host.run(CLEAN);
            const made = await another().make({ disks: [disk(1), disk(2)] });
            const ended = await killedAt(point, (client) => client.delete(made));
            if (!ended) {
                // A refresh in between must not lose what is still there.
                const seen = await another().read(made);
                if (seen !== undefined) await another().delete(seen);
            }
            expect(await everything(), `after point ${String(point)}`).toBe("");
            expect(await output(`wipefs -n -i -O TYPE ${disk(1)}; wipefs -n -i -O TYPE ${disk(2)}`)).toBe("");
            if (ended) {
                expect(point).toBeGreaterThan(5);
                break;
            }
        }
    });

    test("moving data off a disk, with the power cut while it is under way", async () => {
        const client = another();
        const made = await client.make({ disks: [disk(1)], size: "1GiB" });
        const data = await client.volume("data");
        await host.run(`dd if=/dev/urandom of=${data.path} bs=1M count=32 oflag=direct status=none; sync`);
        const sum = await output(`sha256sum < ${data.path}`);
        const change = { disks: [disk(2)] };
        const moving = another();
        const moved = moving.change(made, change).then(
            () => "moved",
            () => "cut",
        );
        await host.run(`for i in $(seq 300); do
            lvs -a --noheadings -o lv_name vgpool | grep -q pvmove && exit 0; sleep 0.2; done; exit 1`);
        await host.powerOff();
        await moved;
        await moving.close();
        await host.powerOn();
        const after = await another().change(made, change);
        expect(Object.keys(after.members)).toEqual([disk(2)]);
        expect(await output(`wipefs -n -i -O TYPE ${disk(1)}`)).toBe("");
        await host.run("vgchange -q -ay vgpool");
        expect(await output(`sha256sum < ${data.path}`)).toBe(sum);
        expect(await output("ls /var/lib/blockhost/units")).toBe("");
    });
});
