import { createHash } from "node:crypto";

/**
 * What a logical unit is known by to initiators. It follows from the generation: unique, new for each creation, and the
 * same for as long as the export lives (LP 1917750, CVE-2023-2088).
 */
export interface UnitIdentity {
    /** Unit serial number (VPD page 0x80). */
    readonly serial: string;
    /**
     * 32 hexadecimal digits of an NAA "IEEE registered extended" designator (VPD page 0x83), which is what udev and
     * multipath take as the WWID (with a `3` before it).
     */
    readonly naa: string;
}

export function unitIdentity(generation: string): UnitIdentity {
    const hash = createHash("sha256").update(`blockhost unit ${generation}`).digest("hex");
    return { serial: generation, naa: `6${hash.slice(0, 31)}` };
}
