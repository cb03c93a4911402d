import { BlockhostError } from "../../errors";
import { bootDirectory } from "../boot";
import type { Order } from "./management";
import {
    type Account,
    type Declared,
    exportOf,
    exportsOf,
    extraOf,
    type TgtContext,
    type TgtExport,
} from "./model";
import { ANSWER } from "./protocol";

/**
 * Accounts of tgt are global by user name; a target has a row of slots for incoming ones, and one outgoing account.
 * Three properties of tgtd decide the order of things here (usr/target.c, `account_ctl`, `account_lookup`,
 * `tgt_target_show_all`; tried with 1.0.85):
 *
 * - A secret cannot be changed: the account is removed, which takes it off every target, and made anew.
 * - A target without any incoming account lets everybody in who is on its access list.
 * - A free slot before a bound one hides the bound one at login, and the next `show` crashes the daemon, and with it the
 *   sessions of all targets. So slots are freed from the last to the first, always.
 */
export interface AccountChange {
    /** What is taken for granted of tgtd's accounts; it counts before anything is changed. */
    readonly guards: readonly Order[];
    /** There will be a moment without any incoming account: nobody may be admitted meanwhile. */
    readonly closeAccess: boolean;
    /** Unbinding and removing; what is wanted is bound by the boot file's own orders. */
    readonly orders: readonly Order[];
    /** Removing accounts that this export no longer needs, once nothing else does. */
    readonly drops: readonly Order[];
    readonly retired: readonly string[];
    readonly uncertain: readonly string[];
    /** Names for the plan's `reserved`. */
    readonly reserved: readonly string[];
}

export function planAccounts(
    context: TgtContext,
    name: string,
    targetName: string,
    wanted: Pick<Declared, "incoming" | "outgoing">,
): AccountChange {
    const before = exportOf(context.facts, name);
    const live = before?.live;
    const accounts = accountsOf(wanted);
    const replaced = new Set(
        accounts.filter((account) => mustReplace(context, name, targetName, account)).map(({ user }) => user),
    );
    const users = accounts.map(({ user }) => user);
    const orders: Order[] = [];

    const bound = live?.incoming ?? [];
    const first = wanted.incoming?.user;
    const keep = first !== undefined && bound[0] === first && !replaced.has(first) ? 1 : 0;
    const unbind = bound.slice(keep).reverse();
    for (const user of unbind) orders.push(unbindOrder(user, false));
    if (
        live?.outgoing !== undefined &&
        (live.outgoing !== wanted.outgoing?.user || replaced.has(live.outgoing))
    ) {
        orders.push(unbindOrder(live.outgoing, true));
    }
    for (const user of replaced) {
        orders.push({
            verb: "request",
            label: `remove account ${user}, to make it with its new secret`,
            mode: "account",
            op: "delete",
            tolerate: [ANSWER.noUser],
            params: [["user", user]],
        });
    }
    const directory = bootDirectory(context.target.stateDirectory, context.target.protocol);
    const guards = accounts.map(({ user, fingerprint }): Order => {
        const plan = replaced.has(user) ? "replace" : before?.orphaned === true ? "bound" : "keep";
        return { verb: "account", user, fingerprint, plan, targetName, directory, self: name };
    });
    const retired = [...new Set(formerUsers(before))].filter((user) => !users.includes(user));
    return {
        guards,
        closeAccess: first !== undefined && keep === 0 && unbind.length > 0,
        orders,
        drops: dropOrders(context, name, retired),
        retired,
        uncertain: [...replaced],
        reserved: accounts.map(
            ({ user, fingerprint }) => `${reservation(context, user)}${fingerprint}/${name}`,
        ),
    };
}

/** Removes accounts unless a target or another export's boot file, as it is then, still has them. */
export function dropOrders(context: TgtContext, name: string, users: readonly string[]): Order[] {
    const directory = bootDirectory(context.target.stateDirectory, context.target.protocol);
    return users.map((user) => ({ verb: "drop", user, directory, self: name }));
}

/** Users that tgtd may know because of this export. */
export function formerUsers(before: TgtExport | undefined): string[] {
    if (before === undefined) return [];
    const users = accountsOf(before.declared).map(({ user }) => user);
    return before.applied ? users : [...users, ...before.declared.retired];
}

function accountsOf({ incoming, outgoing }: Pick<Declared, "incoming" | "outgoing">): Account[] {
    return [incoming, outgoing].filter((account) => account !== undefined);
}

function unbindOrder(user: string, outgoing: boolean): Order {
    return {
        verb: "request",
        label: `unbind ${outgoing ? "outgoing " : ""}account ${user}`,
        mode: "account",
        op: "unbind",
        outgoing,
        tolerate: [ANSWER.noUser],
        params: [["user", user]],
    };
}

/**
 * Whether the account is in tgtd with another secret, or with one that nobody can be sure of.
 *
 * @throws BlockhostError `exists`: another export gives the user another secret; `not-ours`: the account is nobody's
 * that we know; `in-use`: it is bound to a target that would lose it.
 */
function mustReplace(context: TgtContext, name: string, targetName: string, account: Account): boolean {
    const { user, fingerprint } = account;
    const all = exportsOf(context.facts);
    refuseClash(context, name, account);
    if (!extraOf(context.facts).accounts.includes(user)) return false;
    const trusted = all.some(
        ({ declared, applied }) =>
            accountsOf(declared).some((one) => one.user === user && one.fingerprint === fingerprint) &&
            (applied || !declared.uncertain.includes(user)),
    );
    if (trusted) return false;
    if (!all.some((one) => formerUsers(one).includes(user))) {
        throw new BlockhostError(
            "not-ours",
            `tgtd already has an account "${user}" that no export of ours made`,
            {
                property: "initiators",
                hint: "tgt knows accounts by user name alone, for all targets: give `chap` another `username`",
            },
        );
    }
    const elsewhere = (extraOf(context.facts).bindings.get(user) ?? []).filter(
        (target) => target !== targetName,
    );
    if (elsewhere.length > 0) {
        throw new BlockhostError("in-use", `account "${user}" is also bound to ${elsewhere.join(", ")}`, {
            property: "initiators",
            hint: "to give it a new secret would take it off there: give `chap` another `username`, or first finish what was begun on that export",
        });
    }
    return true;
}

function refuseClash(context: TgtContext, name: string, { user, fingerprint }: Account): void {
    const other = exportsOf(context.facts).find(
        (one) =>
            one.name !== name &&
            accountsOf(one.declared).some((a) => a.user === user && a.fingerprint !== fingerprint),
    );
    const start = reservation(context, user);
    const reserved = [...context.host.reserved].find(
        (text) => text.startsWith(start) && !text.startsWith(`${start}${fingerprint}/`),
    );
    const clash = other?.name ?? reserved?.split("/").at(-1);
    if (clash === undefined) return;
    throw new BlockhostError(
        "exists",
        `exports "${name}" and "${clash}" give user "${user}" different CHAP passwords`,
        {
            property: "initiators",
            hint: "tgt knows accounts by user name alone, for all exports of a host: use another `username`, or the same password; to change the password of a user that several exports share, give all of them a new user name with it",
        },
    );
}

function reservation(context: TgtContext, user: string): string {
    return `tgt/${String(context.target.options.controlPort)}/account/${user}=`;
}
