import type { Attached } from "../../contract/exports";

/** Runs a script on a host as root; returns what it printed. */
export type Run = (script: string) => Promise<string>;

/** What is done on an initiator with the device that it has got. */
export function blockDevice(run: Run, device: string): Pick<Attached, "holds" | "write"> {
    return {
        holds: async (offset, length, byte) => {
            const read = `dd if=${device} bs=1M skip=${String(offset)} count=${String(length)} iflag=skip_bytes,count_bytes,direct status=none`;
            // A read that failed holds nothing.
            return (await run(`set -o pipefail; ${read} | tr -d '${octal(byte)}' | wc -c`)) === "0";
        },
        write: async (offset, length, byte) => {
            await run(
                `head -c ${String(length)} /dev/zero | tr '\\000' '${octal(byte)}' | dd of=${device} bs=1M seek=${String(offset)} iflag=fullblock oflag=seek_bytes,direct conv=fsync status=none`,
            );
        },
    };
}

function octal(byte: number): string {
    return `\\${byte.toString(8).padStart(3, "0")}`;
}
