import type { AttachmentFacts, ClientFacts, DeviceFacts, PathFacts } from "./types";

/** Sessions or controllers of an attachment. */
export function pathsOf(
    facts: ClientFacts,
    { target, protocol, initiator }: AttachmentFacts["declared"],
): PathFacts[] {
    return facts.paths.filter(
        (path) =>
            path.target === target &&
            path.protocol === protocol &&
            (path.foreign === undefined || path.foreign === initiator),
    );
}

export function devicesOf(facts: ClientFacts, { target, unit }: AttachmentFacts["declared"]): DeviceFacts[] {
    return facts.devices.filter((device) => device.target === target && device.unit === unit);
}

/** Whether sessions with the target lead to other units and not to this one: whoever uses those has them. */
export function leadElsewhere(facts: ClientFacts, declared: AttachmentFacts["declared"]): boolean {
    return (
        devicesOf(facts, declared).length === 0 &&
        pathsOf(facts, declared).every(({ id }) => facts.devices.some(({ session }) => session === id))
    );
}

/** Of an attachment with one path, those at other portals than the one that stays: the first declared that is up. */
export function surplusPaths(facts: ClientFacts, declared: AttachmentFacts["declared"]): PathFacts[] {
    if (declared.paths === "all") return [];
    const paths = pathsOf(facts, declared).filter(({ portal }) => declared.portals.includes(portal));
    const stays = paths.find(({ up }) => up) ?? paths[0];
    return paths.filter(({ portal }) => portal !== stays?.portal);
}

/** Portals that open-iscsi has on file for the target and that are not declared: it would log in there at boot. */
export function undeclaredRecords(
    { records }: ClientFacts,
    { protocol, target, portals }: AttachmentFacts["declared"],
): string[] {
    if (protocol !== "iscsi") return [];
    const known = records.filter((record) => record.target === target).map(({ portal }) => portal);
    return [...new Set(known)].filter((portal) => !portals.includes(portal));
}

/** Whether what is there of paths is one device, which does not go with one of them. */
export function isJoined(facts: ClientFacts, declared: AttachmentFacts["declared"]): boolean {
    if (declared.protocol === "nvme-tcp") return facts.nativeMultipath;
    const devices = devicesOf(facts, declared);
    return devices.length > 0 && devices.every(({ map }) => map !== undefined);
}

/** Whether a path is one that I/O of the joined device can go over. */
export function carries(facts: ClientFacts, declared: AttachmentFacts["declared"], { id, up }: PathFacts) {
    if (!up || declared.protocol === "nvme-tcp") return up;
    return devicesOf(facts, declared).some(({ session, map }) => session === id && map !== undefined);
}

/**
 * In what an attachment differs from its boot file, in words that do not change as long as the same is wrong; empty: in
 * nothing. `missing` when there is nothing of it.
 */
export function differences(facts: ClientFacts, { declared, auth, applied }: AttachmentFacts): string[] {
    const paths = pathsOf(facts, declared);
    const devices = devicesOf(facts, declared);
    if (paths.length === 0) return ["missing: no session"];
    const found: string[] = applied ? [] : ["half-made"];
    if (facts.bootUnit === "missing") found.push("unit: what attaches it anew at boot is not installed");
    const there = new Set(paths.map(({ portal }) => portal));
    for (const { portal } of paths)
        if (!declared.portals.includes(portal)) found.push(`path ${portal}: is not declared`);
    for (const { portal } of surplusPaths(facts, declared)) found.push(`path ${portal}: one too many`);
    for (const portal of undeclaredRecords(facts, declared))
        found.push(`node record of ${portal}: is not declared`);
    if (declared.paths === "all")
        for (const portal of declared.portals) if (!there.has(portal)) found.push(`path ${portal}: missing`);
    for (const { portal, up, keys } of paths) {
        if (!up) found.push(`path ${portal}: down`);
        if (keys !== undefined && keys !== auth)
            found.push(
                declared.protocol === "iscsi"
                    ? `credentials: the session with ${portal} would log in again with others`
                    : `credentials: not those declared at ${portal}`,
            );
        if (declared.protocol !== "iscsi") continue;
        const record = facts.records.find((one) => one.target === declared.target && one.portal === portal);
        if (record === undefined) found.push(`node record of ${portal}: missing`);
        else if (record.startup !== "automatic")
            found.push(`node record of ${portal}: not logged in to at boot`);
        else if (record.auth !== auth) found.push(`credentials: not those declared at ${portal}`);
    }
    if (declared.protocol === "nvme-tcp") {
        for (const portal of there) {
            const same = paths.filter((one) => one.portal === portal && one.keys === auth && !goes(one));
            if (same.length > 1) found.push(`path ${portal}: connected twice`);
        }
    }
    if (devices.length === 0) return [...found, "device: missing"];
    for (const { block, serial, uuid } of devices) {
        if (declared.serial !== undefined && serial !== undefined && serial !== declared.serial)
            found.push(`device: ${block} has the serial number ${serial}`);
        if (declared.uuid !== undefined && uuid !== declared.uuid)
            found.push(`device: ${block} is namespace ${uuid ?? "without UUID"}`);
    }
    if (declared.protocol === "iscsi") {
        for (const { id, portal, up } of paths)
            if (up && !devices.some(({ session }) => session === id))
                found.push(`path ${portal}: shows no device`);
        if (new Set(devices.map(({ wwid }) => wwid)).size > 1)
            found.push("device: the paths lead to different ones");
        if (declared.paths === "all" && devices.some(({ map }) => map === undefined))
            found.push("multipath: a path is not in use");
    }
    return found;
}

/** The kernel is taking it away. */
function goes({ state }: PathFacts): boolean {
    return state.startsWith("deleting");
}

/** The least size in bytes that any path or the device on top of them shows; `undefined`: there is none. */
export function sizeSeen(facts: ClientFacts, declared: AttachmentFacts["declared"]): number | undefined {
    const sizes = devicesOf(facts, declared).flatMap(({ sizeBytes, map }) =>
        map === undefined ? [sizeBytes] : [sizeBytes, map.sizeBytes],
    );
    return sizes.length === 0 ? undefined : Math.min(...sizes);
}

const MAP = "/dev/disk/by-id/dm-uuid-mpath-";

/**
 * The WWID of a multipath device that is left of what was at a path, as by {@link devicePath}, when all sessions have
 * ended. No file of ours and none of the kernel's says whose it is.
 */
export function pathlessMap({ pathless }: ClientFacts, formerPath: string): string | undefined {
    const wwid = formerPath.startsWith(MAP) ? formerPath.slice(MAP.length) : "";
    return pathless.has(wwid) ? wwid : undefined;
}

/** Where the device is found as long as it is attached; `undefined`: there is none. */
export function devicePath(facts: ClientFacts, declared: AttachmentFacts["declared"]): string | undefined {
    const [device] = devicesOf(facts, declared);
    if (device === undefined) return undefined;
    if (device.map !== undefined) return `${MAP}${device.map.wwid}`;
    if (declared.protocol === "nvme-tcp") return `/dev/disk/by-id/nvme-${device.wwid}`;
    const [, hex] = /^(?:naa|eui)\.([0-9a-f]+)$/.exec(device.wwid) ?? [];
    return hex === undefined ? `/dev/${device.block}` : `/dev/disk/by-id/wwn-0x${hex}`;
}
