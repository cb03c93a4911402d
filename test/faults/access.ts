import type { ExportArgs } from "../../provider/resources/export";
import { deriveDhchapKey } from "../../provider/targets/dhchap";
import type { Protocol } from "../../provider/targets/types";
import { CLIENT } from "../support/client";

/** Who is let in by an export, in words that every protocol has. */

/** An initiator, or somebody whom no export knows. */
export type Name = "client" | "other" | "nobody";

export interface Who {
    /** Whose secrets they are; with tgt and nvmet they are the same in all exports, so each case has a user of its own. */
    readonly user: string;
    /** Absent: none is asked for, or given. */
    readonly secret?: string | undefined;
    /** What the target has to prove itself by. */
    readonly mutual?: string | undefined;
    readonly initiator?: Name;
}

/** What an export declares so that these come in. */
export function access(
    protocol: Protocol,
    ...all: readonly Who[]
): Pick<ExportArgs, "protocol" | "initiators"> {
    const initiators = all.map((who) => {
        if (protocol === "nvme-tcp") {
            const { key, ...more } = keysOf(who);
            return { nqn: nqnOf(who), ...(key === undefined ? {} : { dhchap: { key, ...more } }) };
        }
        const { chap, mutual } = accountsOf(who);
        return {
            iqn: iqnOf(who),
            ...(chap === undefined ? {} : { chap }),
            ...(mutual === undefined ? {} : { mutualChap: mutual }),
        };
    });
    return { protocol, initiators };
}

/** A login by iSCSI. */
export function accountsOf({ user, secret, mutual }: Who) {
    return {
        chap: secret === undefined ? undefined : { username: user, password: secret },
        mutual: mutual === undefined ? undefined : { username: `${user}-out`, password: mutual },
    };
}

export function iqnOf({ initiator = "client" }: Who): string {
    return { client: CLIENT, other: "iqn.2024-01.com.example:db2", nobody: "iqn.2024-01.com.example:nobody" }[
        initiator
    ];
}

/** A connection by NVMe/TCP: the host itself is who has the secrets. */
export function keysOf({ secret, mutual }: Who) {
    const key = (text: string) => deriveDhchapKey(text.padEnd(40, "-"), "faults");
    return {
        ...(secret === undefined ? {} : { key: key(secret) }),
        ...(mutual === undefined ? {} : { controllerKey: key(mutual) }),
    };
}

export function nqnOf({ user, initiator = "client" }: Who): string {
    return `nqn.2024-01.com.example:${user}-${initiator}`;
}
