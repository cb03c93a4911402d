/** Sizes as people write them. Bytes inside; binary units only, because block devices have no others. */

const UNITS: Record<string, bigint> = {
    B: 1n,
    KiB: 1n << 10n,
    MiB: 1n << 20n,
    GiB: 1n << 30n,
    TiB: 1n << 40n,
    PiB: 1n << 50n,
};

/** Sizes are multiples of a sector: what iSCSI and every file system can address. */
export const SECTOR = 512;

export type SizeResult = { bytes: number; problem?: undefined } | { bytes?: undefined; problem: string };

/**
 * Reads a size: a whole number of bytes, or a number with `B`, `KiB`, `MiB`, `GiB`, `TiB` or `PiB`; fractions are fine
 * as long as they come to whole sectors of 512 bytes (`1.5GiB`).
 */
export function parseSize(value: unknown): SizeResult {
    if (typeof value === "number") return fromNumber(value);
    if (typeof value !== "string")
        return { problem: `must be a size such as "10GiB", not ${describe(value)}` };
    const match = /^([0-9]+)(?:\.([0-9]+))?(B|KiB|MiB|GiB|TiB|PiB)?$/.exec(value);
    if (match === null) return { problem: explain(value) };
    const [, whole = "0", fraction = "", unit = "B"] = match;
    if (whole.length > 18 || fraction.length > 18)
        return { problem: `"${shorten(value)}" has too many digits` };
    const scale = 10n ** BigInt(fraction.length);
    const scaled = BigInt(whole + fraction) * (UNITS[unit] ?? 1n);
    if (scaled % scale !== 0n) return { problem: `"${value}" is not a whole number of bytes` };
    return fromBigInt(scaled / scale, value);
}

function fromNumber(value: number): SizeResult {
    if (!Number.isFinite(value)) return { problem: `${String(value)} is not a size` };
    if (value <= 0) return { problem: `must be greater than 0, not ${String(value)}: write it like "10GiB"` };
    if (!Number.isInteger(value)) return { problem: `${String(value)} is not a whole number of bytes` };
    return fromBigInt(BigInt(value), String(value));
}

function fromBigInt(bytes: bigint, written: string): SizeResult {
    if (bytes === 0n) return { problem: "must be greater than 0" };
    if (bytes % BigInt(SECTOR) !== 0n) {
        const next = ((bytes + BigInt(SECTOR - 1)) / BigInt(SECTOR)) * BigInt(SECTOR);
        return {
            problem: `"${written}" is not a multiple of ${String(SECTOR)} bytes; the next one is ${String(next)}`,
        };
    }
    if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) return { problem: `"${written}" is larger than 8 PiB` };
    return { bytes: Number(bytes) };
}

function explain(value: string): string {
    const shown = `"${shorten(value)}"`;
    if (/^-/.test(value)) return `must be greater than 0, not ${shown}`;
    if (/^\s|\s$/.test(value) || /\d\s+[A-Za-z]/.test(value))
        return `${shown} has blanks: write it without, as a whole number of bytes, or a number with KiB, MiB, GiB, TiB or PiB ("10GiB")`;
    const decimal = /^[0-9.]+([kKMGTP])[bB]?$/.exec(value)?.[1];
    if (decimal !== undefined) {
        return `${shown}: sizes are in units of 1024, as block devices have them: write "${value.replace(/[kKMGTP][bB]?$/, `${decimal.toUpperCase() === "K" ? "K" : decimal}iB`)}" if that is meant, else the number of bytes`;
    }
    return `${shown} is not a size: write a whole number of bytes, or a number with KiB, MiB, GiB, TiB or PiB ("10GiB")`;
}

function describe(value: unknown): string {
    return value === null ? "null" : Array.isArray(value) ? "a list" : `a value of type ${typeof value}`;
}

function shorten(text: string): string {
    return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}

/** The next multiple of a grain. Bytes. */
export function roundUp(bytes: number, grain: number): number {
    return Math.ceil(bytes / grain) * grain;
}

/** A size as a person would write it, where that is exact; else in bytes. */
export function exactSize(bytes: number): string {
    for (const [unit, factor] of [
        ["TiB", 2 ** 40],
        ["GiB", 2 ** 30],
        ["MiB", 2 ** 20],
        ["KiB", 2 ** 10],
    ] as const) {
        if (bytes % factor === 0 && bytes > 0) return `${String(bytes / factor)}${unit}`;
    }
    return String(bytes);
}

/** Bytes as a person would write them: exact where that is short, else rounded to two decimals. */
export function formatSize(bytes: number): string {
    const units = ["PiB", "TiB", "GiB", "MiB", "KiB"];
    for (const unit of units) {
        const size = Number(UNITS[unit]);
        if (Math.abs(bytes) >= size) return `${String(Math.round((bytes / size) * 100) / 100)}${unit}`;
    }
    return `${String(bytes)}B`;
}
