import type { Session } from "../types";
import { LUN } from "./compare";
import type { Order } from "./management";
import { ANSWER } from "./protocol";

/** Orders that take a unit away or open it again, and those that keep initiators from noticing more than they must. */

export function namesOf(sessions: readonly Session[]): string[] {
    return [...new Set(sessions.map(({ initiator }) => initiator))];
}

/**
 * Turns logins away for the time being and ends the sessions there are, which must be these initiators' only.
 *
 * tgtd answers a login at an offline target with "target error", upon which initiators try again; the commands that
 * were under way they send once more after they are back, so no read or write fails. Offline must never meet a session
 * that stays: its commands would get no answer at all (usr/target.c `target_cmd_queue`; tried).
 */
export function closeTarget(initiators: readonly string[]): Order[] {
    return [{ verb: "only", initiators }, setState("offline"), { verb: "cut", initiators: [] }];
}

export function setState(state: "offline" | "ready"): Order {
    const label = state === "offline" ? "turn logins away" : "let logins in";
    return { verb: "request", label, mode: "target", op: "update", params: [["state", state]] };
}

export function removeUnit(lun: number): Order {
    return {
        verb: "request",
        label: `take LUN ${String(lun)} away`,
        mode: "device",
        op: "delete",
        lun,
        tolerate: [ANSWER.noLun],
    };
}

/**
 * One request closes the device, opens it again and so learns its size. A command that is under way just then fails
 * (tried: within 50 times under full load), so nobody must be logged in.
 */
export function openAgain(devicePath: string): Order {
    return {
        verb: "request",
        label: `open ${devicePath} again`,
        mode: "device",
        op: "update",
        lun: LUN,
        params: [
            ["online", 0],
            ["path", devicePath],
            ["online", 1],
        ],
    };
}
