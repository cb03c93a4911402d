import { getManageable } from "../../../provider/resources/functions/manageable";
import type { Context } from "../../../provider/resources/types";
import { raw } from "../../../provider/sh";
import { type Made, contextFor, counted, create, inParallel, kind } from "../support";
import {
    GROUP,
    type Guest,
    HOST,
    POOL,
    THIN,
    configuration,
    forgetArchive,
    timed,
    timedOnGuest,
} from "./guest";
import type { Results } from "./results";

/** Thin volumes: ours, and the least that LVM takes for the same. */

/** Thin, so that sizes cost nothing; whole GiB, because Cinder knows no others. */
const SIZE = "1GiB";
const LARGER = "2GiB";
const PLACE = { host: HOST, pool: POOL };
/** As Pulumi does with `--parallel 128`: a batch of a hundred is asked for at once. */
export const WIDTH = 128;

/** Remote runs of one warm operation. */
export async function countRuns(guest: Guest, results: Results): Promise<void> {
    const context = contextFor(HOST, configuration(guest));
    const warm = await create(context, "Volume", "warm", { ...PLACE, size: SIZE });
    const count = async <T>(operation: string, what: () => Promise<T>): Promise<T> => {
        const [made, runs] = await counted(context, what);
        results.remoteRuns[operation] = runs;
        return made;
    };
    const data = await count("create", () => create(context, "Volume", "data", { ...PLACE, size: SIZE }));
    const larger = { ...data.state, size: LARGER };
    const extended = await count("extend", () => kind("Volume").update(context, data.state, larger));
    const snap = await count("snapshot", () => create(context, "Snapshot", "snap", { volume: data.id }));
    const clone = await count("clone", () =>
        create(context, "Volume", "clone", { ...PLACE, source: { snapshot: snap.id } }),
    );
    await kind("Snapshot").delete(context, snap.state);
    await kind("Volume").delete(context, clone.state);
    await kind("Volume").delete(context, warm.state);
    await count("delete", () => kind("Volume").delete(context, extended));
    await context.hosts.close();
}

function reading(volumes: readonly Made[]) {
    return {
        refresh: async (context: Context) => {
            const read = await Promise.all(volumes.map(({ state }) => kind("Volume").read(context, state)));
            if (read.includes(undefined)) throw new Error("a volume was not found");
        },
        list: async (context: Context) => {
            const { total } = (await getManageable.run(context, PLACE)) as { total: number };
            if (total < volumes.length)
                throw new Error(`${String(total)} of ${String(volumes.length)} listed`);
        },
    };
}

/** What volumes have done to them that are there; the rest of a round is making, reading and deleting them. */
export const CHANGES = ["extend", "snapshot", "clone"] as const;
export type Changes = ReadonlySet<(typeof CHANGES)[number]>;

/** One round over SSH: each operation for all `n`, many at once. */
export async function ours(guest: Guest, results: Results, n: number, changes: Changes): Promise<void> {
    await forgetArchive(guest);
    const context = contextFor(HOST, configuration(guest));
    await context.hosts.get(HOST).facts();
    const all = async <T>(operation: string, what: (i: number) => Promise<T>): Promise<T[]> => {
        const [made, seconds] = await timed(() => inParallel(n, WIDTH, what));
        results.add("ours", operation, n, seconds);
        return made;
    };
    const volumes = await all("create", (i) =>
        create(context, "Volume", `v${String(i)}`, { ...PLACE, size: SIZE }),
    );
    for (const [operation, what] of Object.entries(reading(volumes))) {
        const fresh = contextFor(HOST, configuration(guest));
        // Connecting is not what is compared.
        await fresh.hosts.get(HOST).ask(raw(":"), "connect");
        const [[, runs], seconds] = await timed(() => counted(fresh, () => what(fresh)));
        results.add("ours", operation, n, seconds);
        results.remoteRuns[operation] = Math.max(runs, results.remoteRuns[operation] ?? 0);
        await fresh.hosts.close();
    }
    const larger = changes.has("extend")
        ? await all("extend", (i) =>
              kind("Volume").update(context, state(volumes, i), { ...state(volumes, i), size: LARGER }),
          )
        : volumes.map((volume) => volume.state);
    if (changes.has("snapshot")) {
        const snapshots = await all("snapshot", (i) =>
            create(context, "Snapshot", `s${String(i)}`, { volume: volumes[i]?.id }),
        );
        await inParallel(n, WIDTH, (i) => kind("Snapshot").delete(context, state(snapshots, i)));
    }
    if (changes.has("clone")) {
        const clones = await all("clone", (i) =>
            create(context, "Volume", `c${String(i)}`, { ...PLACE, source: { volume: volumes[i]?.id } }),
        );
        await inParallel(n, WIDTH, (i) => kind("Volume").delete(context, state(clones, i)));
    }
    await all("delete", (i) => kind("Volume").delete(context, larger[i] ?? {}));
    await context.hosts.close();
}

function state(made: readonly Made[], i: number): Record<string, unknown> {
    const found = made[i];
    if (found === undefined) throw new Error(`nothing was made as number ${String(i)}`);
    return found.state;
}

/** LVM's shell takes 64 words a command. */
const MOST = 56;

/**
 * One round by hand on the guest: for each operation one `lvm` process, with commands on its standard input, in the
 * best way known: created inactive, then activated together; removed by one command. Nothing is flushed, as LVM
 * leaves it.
 */
export async function limit(guest: Guest, results: Results, n: number, changes: Changes): Promise<void> {
    await forgetArchive(guest);
    const names = (prefix: string) => Array.from({ length: n }, (_, i) => `${prefix}${String(i)}`);
    const together = (command: string, prefix: string) =>
        chunks(names(prefix), MOST).map(
            (some) => `${command} ${some.map((name) => `${GROUP}/${name}`).join(" ")}`,
        );
    const each = (prefix: string, command: (i: number) => string) => names(prefix).map((_, i) => command(i));
    const feed = async (operation: string, commands: readonly string[]) => {
        const prepare = `cat >/run/bench-commands <<'BENCH'\n${commands.join("\n")}\nBENCH`;
        const seconds = await timedOnGuest(guest, "lvm </run/bench-commands", prepare);
        results.add("limit", operation, n, seconds);
    };
    const tag = "--addtag blockhost:1&kind:volume&owner:bench/bench/bench/bench&generation:0123456789abcdef";
    const thin = `lvcreate -q --type thin -an -kn -V 1g --thinpool ${THIN} ${tag}`;
    await feed("create", [
        ...each("b", (i) => `${thin} -n b${String(i)} ${GROUP}`),
        ...together("lvchange -q -ay -K", "b"),
    ]);
    await expectCount(guest, "b", n, "active");
    const read = async (operation: string, fields: string) => {
        const seconds = await timedOnGuest(guest, `lvs --reportformat json --units b -o ${fields} ${GROUP}`);
        results.add("limit", operation, n, seconds);
    };
    await read(
        "refresh",
        "lv_name,lv_uuid,lv_size,lv_tags,pool_lv,origin,data_percent,lv_active,lv_device_open",
    );
    await read("list", "lv_name,lv_size,lv_tags,lv_layout,lv_device_open");
    if (changes.has("extend"))
        await feed(
            "extend",
            each("b", (i) => `lvextend -q -L 2g ${GROUP}/b${String(i)}`),
        );
    const copy = (flags: string, prefix: string) => [
        ...each(
            "b",
            (i) => `lvcreate -q -s -an -kn ${flags} ${tag} -n ${prefix}${String(i)} ${GROUP}/b${String(i)}`,
        ),
        ...together("lvchange -q -ay -K", prefix),
    ];
    for (const [operation, flags, prefix] of [
        ["snapshot", "-pr", "d"],
        ["clone", "-prw", "e"],
    ] as const) {
        if (!changes.has(operation)) continue;
        await feed(operation, copy(flags, prefix));
        await expectCount(guest, prefix, n, "active");
        await guest.run(`lvremove -q -y ${together("", prefix).join(" ")}`, { timeoutMs: 600_000 });
    }
    const seconds = await timedOnGuest(guest, `lvremove -q -y ${together("", "b").join(" ")}`);
    results.add("limit", "delete", n, seconds);
    await expectCount(guest, "b", 0);
}

/** `lvm` ends with success whatever became of its commands. */
async function expectCount(guest: Guest, prefix: string, n: number, active?: "active"): Promise<void> {
    const { stdout } = await guest.run(
        `lvs --noheadings -o lv_name,lv_active -S 'lv_name=~^${prefix}[0-9]' ${GROUP}`,
    );
    const found = stdout
        .split("\n")
        .filter((line) => line.trim() !== "" && (active === undefined || / active/.test(line)));
    if (found.length !== n)
        throw new Error(`${String(found.length)} of ${String(n)} volumes ${prefix}… are there`);
}

function chunks<T>(list: readonly T[], most: number): T[][] {
    return Array.from({ length: Math.ceil(list.length / most) }, (_, i) =>
        list.slice(i * most, (i + 1) * most),
    );
}
