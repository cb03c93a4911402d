import type { Host } from "../host/host";
import type { Failure } from "../validate";
import type { Context } from "./types";

/** Names of disks that stay the same over restarts, whatever else is plugged in. */
export const STABLE_DISK = /^\/dev\/disk\/by-(id|partuuid)\/[A-Za-z0-9_.:+=@%-]+$/;

/** Kernel names, which the host can be asked about. */
const KERNEL_NAME = /^\/dev\/[A-Za-z0-9_.:+=@%/-]+$/;

/** Failures about names of disks, with the names that stay, where the host can be asked. */
export async function unstableDiskFailures(
    context: Context,
    host: Host,
    pool: string,
    disks: readonly string[] | undefined,
    failures: readonly Failure[],
): Promise<Failure[]> {
    const named = (property: string) => disks?.[Number(/^disks\[(\d+)\]$/.exec(property)?.[1] ?? -1)];
    const asked = failures
        .map(({ property }) => named(property))
        .filter((disk) => typeof disk === "string" && KERNEL_NAME.test(disk))
        .filter((disk) => disk !== undefined);
    if (asked.length === 0) return [...failures];
    const facts = await host.facts(context, { [pool]: asked }).catch(() => undefined);
    const found = facts?.containers?.get(pool)?.disks;
    return failures.map((failure) => {
        const disk = named(failure.property);
        const facts = disk === undefined ? undefined : found?.get(disk);
        if (facts === undefined) return failure;
        const names = facts.stableNames;
        const instead =
            facts.device === undefined
                ? `there is no ${facts.name} on the host`
                : names.length === 0
                  ? `${facts.name} has none on the host`
                  : `${facts.name} is ${names.join(" or ")} there`;
        return { ...failure, reason: `${failure.reason}; ${instead}` };
    });
}
