import type { Attached } from "../../contract/exports";

/** Runs a script on a host as root; returns what it printed. */
export type Run = (script: string) => Promise<string>;

/** What is done on an initiator with the device that it has got. */
export function blockDevice(run: Run, device: string): Pick<Attached, "holds" | "write"> {
    return {
        holds: async (offset, length, byte) => {
            const read = `dd if=${device} bs=512 skip=${String(offset / 512)} count=${String(length / 512)} iflag=direct status=none`;
            // A read that failed holds nothing.
            return (await run(`set -o pipefail; ${read} | tr -d '${octal(byte)}' | wc -c`)) === "0";
        },
        write: async (offset, length, byte) => {
            await run(
                `head -c ${String(length)} /dev/zero | tr '\\000' '${octal(byte)}' | dd of=${device} bs=512 seek=${String(offset / 512)} iflag=fullblock oflag=direct conv=fsync status=none`,
            );
        },
    };
}

function octal(byte: number): string {
    return `\\${byte.toString(8).padStart(3, "0")}`;
}
