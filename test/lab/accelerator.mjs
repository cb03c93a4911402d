// @ts-check
/**
 * What runs a host's instructions. QEMU's emulation of a processor, so that the lab runs wherever tests run: that there
 * is a `/dev/kvm` does not say that a whole machine boots on it (that of PVM does not run Debian's kernel). Where it is
 * known to, KVM is asked for.
 */
import { createHash } from "node:crypto";
import { constants, accessSync, readFileSync } from "node:fs";
import { StepFailed } from "../../tools/prepare/progress.mjs";

/** Chooses: `kvm`, or `tcg`, which is what is taken without it. */
export const acceleratorVariable = "BLOCKHOST_LAB_ACCELERATOR";

/** @typedef {"kvm" | "tcg"} Accelerator */

/** @returns {Accelerator} */
export function accelerator(wanted = process.env[acceleratorVariable] ?? "") {
    if (wanted === "" || wanted === "tcg") return "tcg";
    if (wanted !== "kvm") {
        throw new StepFailed(`${acceleratorVariable} is ${wanted}.`, "set it to kvm or tcg, or not at all.");
    }
    try {
        accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
    } catch {
        throw new StepFailed(
            `${acceleratorVariable} is kvm, but this user cannot open /dev/kvm.`,
            "leave it unset: the hosts are emulated then, which takes longer.",
        );
    }
    return "kvm";
}

/** What a saved state depends on: it goes on only on the kind of processor that it was saved on. */
export function acceleratorKey() {
    if (accelerator() === "tcg") return "tcg";
    const [first = ""] = readFileSync("/proc/cpuinfo", "utf8").split("\n\n", 1);
    const kind = first
        .split("\n")
        .filter((line) => /^(vendor_id|cpu family|model|stepping|microcode|flags)\b/.test(line));
    return `kvm ${createHash("sha256").update(kind.join("\n")).digest("hex")}`;
}
