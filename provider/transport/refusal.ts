/** What it means when a channel ends before a shell answers, and what to do about it. */
import { BlockhostError } from "../errors";
import { shellCommand } from "./bootstrap";
import { type ShellRefused } from "./shell";
import type { TransportConfig } from "./types";

/** What `sudo: true` needs in the host's sudoers. Less than everything would be no less: scripts can do anything. */
export function sudoersLine(user = "USER"): string {
    return `${user} ALL=(root) NOPASSWD: ALL`;
}

/** An error that names the remedy, from what `sudo`, `setsid` or the login shell said. */
export function explainRefusal(refused: ShellRefused, config: TransportConfig, user: string): BlockhostError {
    const { stderr, end, timedOut } = refused;
    const details = { host: config.name, stderr, exitStatus: end.exitStatus };
    const words = shellCommand(config);
    const command = words.join(" ");
    const missing =
        /(?:^|[\s:'"`])(sudo|setsid)['"`]?: .*(?:not found|no such file)|ENOENT.*\b(sudo|setsid)\b/im.exec(
            stderr,
        );
    const tool = missing?.[1] ?? missing?.[2];
    if (tool === "setsid") {
        return new BlockhostError("unsupported", "the host has no `setsid`", {
            ...details,
            hint: "install the package util-linux on the host",
        });
    }
    if (tool === "sudo") {
        return new BlockhostError("unsupported", "the host has no `sudo`", {
            ...details,
            hint: "install sudo on the host, or log in as root and leave out `sudo: true`",
        });
    }
    if (config.sudo === true && /^sudo:|not in the sudoers|not allowed to/im.test(stderr)) {
        return new BlockhostError("auth", `sudo does not let user "${user}" become root without a password`, {
            ...details,
            hint:
                `on the host, run \`visudo -f /etc/sudoers.d/blockhost\` and put in this line: ` +
                sudoersLine(user),
        });
    }
    if (timedOut) {
        return new BlockhostError("timeout", `\`${command}\` was started on the host and did not answer`, {
            ...details,
            hint: `log in as "${user}" and see what \`${command}\` does; a start-up file of its shell may be waiting`,
        });
    }
    if (end.exitStatus === undefined && end.signal === undefined) {
        return new BlockhostError("unreachable", "the connection was lost while a shell was being started", {
            ...details,
            hint: "nothing was sent; run the same command again",
        });
    }
    return new BlockhostError("unsupported", `\`${command}\` could not be started on the host`, {
        ...details,
        hint: `log in as "${user}" and see what \`${command}\` says; the host needs a login shell, setsid and ${words.at(-1) ?? "sh"}`,
    });
}
