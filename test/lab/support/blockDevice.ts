import type { Attached } from "../../contract/exports";

/** Runs a script on a host as root; returns what it printed. */
export type Run = (script: string) => Promise<string>;

const BLOCK = 4096;

/** What is done on an initiator with the device that it has got. */
export function blockDevice(run: Run, device: string): Pick<Attached, "holds" | "write"> {
    return {
        holds: async (offset, length, byte) => {
            // Whole blocks of a device whose blocks are those of a file system.
            const blocks = Math.ceil((offset + length) / BLOCK) - Math.floor(offset / BLOCK);
            const read = `dd if=${device} bs=${String(BLOCK)} skip=${String(Math.floor(offset / BLOCK))} count=${String(blocks)} iflag=direct status=none |
tail -c +${String((offset % BLOCK) + 1)} | head -c ${String(length)}`;
            // A read that failed holds nothing.
            return (await run(`set -o pipefail; ${read} | tr -d '${octal(byte)}' | wc -c`)) === "0";
        },
        write: async (offset, length, byte) => {
            await run(
                `head -c ${String(length)} /dev/zero | tr '\\000' '${octal(byte)}' | dd of=${device} bs=1M seek=${String(offset)} iflag=fullblock oflag=seek_bytes,direct conv=nocreat,fsync status=none`,
            );
        },
    };
}

function octal(byte: number): string {
    return `\\${byte.toString(8).padStart(3, "0")}`;
}
