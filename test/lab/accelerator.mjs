// @ts-check
/** What runs a host's instructions: this machine's processor where it lends itself (KVM), else QEMU's emulation of one. */
import { createHash } from "node:crypto";
import { constants, accessSync, existsSync, readFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { StepFailed } from "../../tools/prepare/progress.mjs";

/** Chooses by hand: `kvm` or `tcg`. */
export const acceleratorVariable = "BLOCKHOST_LAB_ACCELERATOR";

/** @typedef {"kvm" | "tcg"} Accelerator */

const device = "/dev/kvm";

/** @type {Accelerator | undefined} */
let chosen;

/**
 * KVM where it works, a good five times as fast; else emulation, which needs nothing of the machine.
 *
 * @returns {Accelerator}
 */
export function accelerator() {
    return (chosen ??= choose(process.env[acceleratorVariable]));
}

/** @param {string | undefined} wanted @returns {Accelerator} */
function choose(wanted) {
    if (wanted === undefined || wanted === "") return whyNoKvm() === undefined ? "kvm" : "tcg";
    if (wanted !== "kvm" && wanted !== "tcg") {
        throw new StepFailed(`${acceleratorVariable} is ${wanted}.`, "set it to kvm or tcg, or not at all.");
    }
    const reason = wanted === "kvm" ? whyNoKvm() : undefined;
    if (reason !== undefined) {
        throw new StepFailed(
            `${acceleratorVariable} is kvm, but ${reason}.`,
            "leave it unset: the hosts are emulated then, which takes longer.",
        );
    }
    return wanted;
}

/** Why KVM cannot be used; nothing where it can. @returns {string | undefined} */
export function whyNoKvm() {
    if (!existsSync(device)) return `this machine has no ${device}`;
    try {
        accessSync(device, constants.R_OK | constants.W_OK);
    } catch {
        return `${device} may not be opened by this user`;
    }
    try {
        // The device may be there and not do what it is for: QEMU has to have tried.
        execFileSync(
            "qemu-system-x86_64",
            ["-machine", "none", "-accel", "kvm", "-nodefaults", "-display", "none", "-monitor", "stdio"],
            { input: "quit\n", stdio: ["pipe", "ignore", "pipe"], timeout: 20_000 },
        );
        return undefined;
    } catch (error) {
        const said = /** @type {{ stderr?: Buffer }} */ (error).stderr?.toString().trim() ?? "";
        return `QEMU cannot use ${device}${said === "" ? "" : `: ${said}`}`;
    }
}

/** What a saved state depends on: it goes on only on the processor that it was saved on. */
export function acceleratorKey() {
    if (accelerator() === "tcg") return "tcg";
    const info = readFileSync("/proc/cpuinfo", "utf8");
    const processor = info
        .split("\n\n", 1)[0]
        ?.split("\n")
        .filter((line) => /^(vendor_id|cpu family|model|stepping|microcode|flags)\b/.test(line));
    return `kvm ${createHash("sha256")
        .update((processor ?? []).join("\n"))
        .digest("hex")}`;
}
