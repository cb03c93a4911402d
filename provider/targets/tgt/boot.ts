import { isIP } from "node:net";
import type { Sh } from "../../sh";
import { bootFile, placeOf } from "../boot";
import type { Chap, ExportWanted } from "../types";
import { LUN } from "./compare";
import { management, type Order } from "./management";
import { type Declared, type TgtRef } from "./model";
import { ANSWER } from "./protocol";
import { setState } from "./units";

/** Shown to initiators as the unit's vendor (8 bytes at most). */
const VENDOR = "BLKHOST";

/**
 * The body of a boot file: makes everything that is not there, and puts right what can be put right without taking
 * anything away. The access list comes last, so that a target never admits anybody before its accounts are bound.
 */
export function bootBody(target: TgtRef, want: ExportWanted, targetName: string, declared: Declared): Sh {
    const chap = want.initiators.find((initiator) => initiator.chap !== undefined)?.chap;
    const mutual = want.initiators.find((initiator) => initiator.mutualChap !== undefined)?.mutualChap;
    const orders: Order[] = [
        ...declared.portals.map((portal): Order => ({ verb: "portal", portal })),
        { verb: "target", name: targetName },
        {
            verb: "request",
            label: `serve ${declared.devicePath}`,
            mode: "device",
            op: "new",
            lun: LUN,
            tolerate: [ANSWER.lunExists],
            params: [
                ["path", declared.devicePath],
                ["bstype", "rdwr"],
            ],
        },
        {
            verb: "request",
            label: "set the unit's properties",
            mode: "device",
            op: "update",
            lun: LUN,
            params: [
                ["scsi_id", declared.naa],
                ["scsi_sn", declared.serial],
                ["vendor_id", VENDOR],
                ["removable", 0],
                ["readonly", declared.readOnly ? 1 : 0],
                ["thin_provisioning", declared.discard ? 1 : 0],
                ["online", 1],
            ],
        },
        ...(chap === undefined ? [] : accountOrders(chap, false)),
        ...(mutual === undefined ? [] : accountOrders(mutual, true)),
        setState("ready"),
        ...declared.acl.map(admitOrder),
        { verb: "applied", file: bootFile(placeOf(target, want.name)) },
    ];
    return management(target.options.controlPort, orders);
}

function accountOrders({ username, password }: Chap, outgoing: boolean): Order[] {
    const kind = outgoing ? "outgoing account" : "account";
    return [
        {
            verb: "request",
            label: `make account ${username}`,
            mode: "account",
            op: "new",
            tolerate: [ANSWER.userExists],
            params: [
                ["user", username],
                ["password", password],
            ],
        },
        {
            verb: "request",
            label: `bind ${kind} ${username}`,
            mode: "account",
            op: "bind",
            outgoing,
            tolerate: [ANSWER.userExists, ANSWER.outAccountExists],
            params: [["user", username]],
        },
    ];
}

/** Names and addresses are two lists in tgtd, shown as one. */
function admitOrder(entry: string): Order {
    return {
        verb: "request",
        label: `admit ${entry}`,
        mode: "target",
        op: "bind",
        tolerate: [ANSWER.aclExists],
        params: [[isIP(entry.replace(/\/.*/, "")) === 0 ? "initiator-name" : "initiator-address", entry]],
    };
}

/** Takes an entry off, on whichever of the two lists it is. */
export function refuseOrders(entry: string): Order[] {
    const label = `no longer admit ${entry}`;
    return ["initiator-name", "initiator-address"].map((key) => ({
        verb: "request",
        label,
        mode: "target",
        op: "unbind",
        tolerate: [ANSWER.noAcl],
        params: [[key, entry]],
    }));
}
