import { covers, parsePortal } from "../portal";
import type { Declared, TgtExtra } from "./model";
import { type LiveTarget, type LiveUnit, shownMegabytes } from "./show";

/** In what tgtd differs from a declaration, field by field. Each difference starts with the property it is about. */

/** The one logical unit that an export has. */
export const LUN = 1;

export function unitOf(live: LiveTarget): LiveUnit | undefined {
    return live.units.find(({ lun }) => lun === LUN);
}

/** Units that nobody declared; 0 is the target's controller. */
export function extraUnits(live: LiveTarget): readonly LiveUnit[] {
    return live.units.filter(({ lun }) => lun !== 0 && lun !== LUN);
}

/** The unit serves another device, or serves it in another way: it has to be made anew. */
export function unitIsOther(declared: Declared, unit: LiveUnit): string | undefined {
    if (unit.path !== declared.devicePath)
        return `devicePath: tgtd serves ${unit.path}, not ${declared.devicePath}`;
    if (unit.type !== "disk") return `devicePath: the unit is a ${unit.type}, not a disk`;
    if (unit.storeType !== "rdwr") return `devicePath: the backing store is ${unit.storeType}, not rdwr`;
    if (unit.flags !== "") return `devicePath: the backing store has flags ${unit.flags}`;
    if (unit.blockSize !== 512) return `devicePath: the block size is ${String(unit.blockSize)}, not 512`;
    return undefined;
}

export function differences(
    declared: Declared,
    live: LiveTarget | undefined,
    state: {
        device: "open" | "stale" | "gone" | "unknown";
        sizeBytes: number;
        deviceSizeBytes?: number | undefined;
    },
    tgtd: Pick<TgtExtra, "accounts" | "portals">,
): string[] {
    if (live === undefined) return ["missing"];
    const found: (string | undefined)[] = [];
    if (live.state !== "ready") found.push(`state: the target is ${live.state}, not ready`);
    found.push(...compareUnit(declared, live, state));
    found.push(...compareAccess(declared, live));
    found.push(...compareAccounts(declared, live));
    for (const portal of unheardPortals(declared.portals, tgtd.portals)) {
        found.push(`portals: tgtd does not listen on ${portal}`);
    }
    return found.filter((one) => one !== undefined);
}

function compareUnit(
    declared: Declared,
    live: LiveTarget,
    { device, sizeBytes, deviceSizeBytes }: Parameters<typeof differences>[2],
): (string | undefined)[] {
    const unit = unitOf(live);
    const others = extraUnits(live).map(
        ({ lun, path }) => `devicePath: there is a LUN ${String(lun)} too (${path})`,
    );
    if (unit === undefined) return ["devicePath: the target has no LUN 1", ...others];
    const other = unitIsOther(declared, unit);
    if (other !== undefined) return [other, ...others];
    const yes = (value: boolean) => (value ? "yes" : "no");
    return [
        ...others,
        device === "stale" ? "devicePath: tgtd still serves what was at the path before" : undefined,
        device === "gone" ? `devicePath: there is nothing at ${declared.devicePath} any more` : undefined,
        sizeDifference(unit, sizeBytes, deviceSizeBytes),
        unit.online ? undefined : "state: the LUN is offline",
        unit.removable ? "state: the LUN claims to be removable" : undefined,
        unit.readOnly === declared.readOnly
            ? undefined
            : `readOnly: ${yes(unit.readOnly)}, not ${yes(declared.readOnly)}`,
        unit.thin === declared.discard
            ? undefined
            : `discard: ${yes(unit.thin)}, not ${yes(declared.discard)}`,
        unit.serial === declared.serial ? undefined : `serial: ${unit.serial}, not ${declared.serial}`,
        unit.scsiId === declared.naa
            ? undefined
            : `serial: the SCSI ID is ${unit.scsiId}, not ${declared.naa}`,
    ];
}

/** tgtd learns a size only when it opens the device; what it shows is rounded, so the device itself is looked at, too. */
export function sizeDifference(
    unit: LiveUnit,
    openedBytes: number,
    deviceBytes: number | undefined,
): string | undefined {
    const now = deviceBytes ?? openedBytes;
    if (openedBytes !== now)
        return `size: initiators see ${String(openedBytes)} bytes, the device has ${String(now)}`;
    if (unit.megabytes === shownMegabytes(now)) return undefined;
    return `size: initiators see ${String(unit.megabytes)} MB, the device has ${String(now)} bytes`;
}

function compareAccess(declared: Declared, live: LiveTarget): string[] {
    const property = (entry: string) => (/^(iqn|eui|naa)\./i.test(entry) ? "initiators" : "addresses");
    return [
        ...declared.acl
            .filter((entry) => !live.acl.includes(entry))
            .map((entry) => `${property(entry)}: ${entry} is not admitted`),
        ...live.acl
            .filter((entry) => !declared.acl.includes(entry))
            .map((entry) => `${property(entry)}: ${entry} is admitted`),
    ];
}

function compareAccounts(declared: Declared, live: LiveTarget): string[] {
    const found: string[] = [];
    const user = declared.incoming?.user;
    if (user !== undefined && !live.incoming.includes(user)) found.push(`chap: user ${user} is not bound`);
    for (const other of live.incoming) if (other !== user) found.push(`chap: user ${other} is bound`);
    if (live.outgoing !== declared.outgoing?.user) {
        const [is, shall] = [live.outgoing ?? "nobody", declared.outgoing?.user ?? "nobody"];
        found.push(`mutualChap: the target answers as ${is}, not as ${shall}`);
    }
    return found;
}

/** Wanted portals that nothing of tgtd's listens on. */
export function unheardPortals(wanted: readonly string[], listening: readonly string[]): string[] {
    return wanted.filter((text) => {
        const portal = parsePortal(text);
        return !listening.some((other) => {
            const listener = parsePortal(other);
            return portal !== undefined && listener !== undefined && covers(listener, portal);
        });
    });
}
