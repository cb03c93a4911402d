import type { Lab } from "../../lab/lab.mjs";

export type Guest = ReturnType<Lab["host"]>;

/** What is measured, on host `a`: a thin pool, and a configuration that reaches it. */
export const HOST = "bench";
export const POOL = "fast";
export const GROUP = "bench";
/** As Cinder wants it to be called. */
export const THIN = `${GROUP}-pool`;

/** Makes the volume group and its thin pool of two disks. */
export async function makePool(guest: Guest): Promise<void> {
    const disks = ["disk1", "disk2"].map((disk) => guest.diskPath(disk)).join(" ");
    await guest.run(`exec 2>&1; wipefs -q -a ${disks} && vgcreate -q ${GROUP} ${disks} &&
lvcreate -q -y --type thin-pool -L 6g --poolmetadatasize 64m -n ${THIN} ${GROUP}`);
}

export function configuration(guest: Guest, more: Readonly<Record<string, unknown>> = {}) {
    return guest.configuration({
        // Emulated, on a machine that may have other work.
        connectTimeout: 120_000,
        lockTimeout: 600,
        pools: {
            [POOL]: { driver: "lvm", volumeGroup: GROUP, thinPool: THIN, maxOverSubscriptionRatio: 1000 },
        },
        ...more,
    });
}

/**
 * Runs a script on the guest itself.
 *
 * @param prepare what does not count
 * @returns seconds by the guest's own clock, without what it takes to get there
 */
export async function timedOnGuest(guest: Guest, script: string, prepare = ":"): Promise<number> {
    const text = `${prepare}
t=$(date +%s%N)
(
${script}
) >/dev/null </dev/null || exit
echo "nanoseconds $(( $(date +%s%N) - t ))"`;
    const { stdout } = await guest.run(text, { timeoutMs: 1_800_000 });
    const [, nanoseconds] = /^nanoseconds (\d+)$/m.exec(stdout) ?? [];
    if (nanoseconds === undefined) throw new Error(`no time in: ${stdout}`);
    return Number(nanoseconds) / 1e9;
}

/** LVM keeps a copy of its metadata for every change, and reads through all of them: each side begins without. */
export async function forgetArchive(guest: Guest): Promise<void> {
    await guest.run("rm -f /etc/lvm/archive/*; sync");
}

/** Seconds, and what came of it. */
export async function timed<T>(what: () => Promise<T>): Promise<[T, number]> {
    const started = performance.now();
    const result = await what();
    return [result, (performance.now() - started) / 1000];
}
