import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";

/** What systemd has to say of a unit, which is written to a file for that; a unit that is one: status 0, and nothing. */
export function verifyUnit(file: string, text: string): { status: number | null; said: string } {
    writeFileSync(file, text);
    const { status, stdout, stderr } = spawnSync(
        "systemd-analyze",
        ["verify", "--man=no", "--recursive-errors=no", file],
        { encoding: "utf8" },
    );
    return { status, said: stdout + stderr };
}
