import { expect, test } from "vitest";
import { departed } from "../../../provider/resources/departed";
import type { Context } from "../../../provider/resources/types";

/** What clients say of themselves, where the storage host cannot tell who is still connected. */

const TARGET = "nqn.2010-10.org.blockhost:pg:00000000";
const NQN = "nqn.2014-08.org.nvmexpress:uuid:1";
const seen = { targetName: TARGET, sessions: [{ initiator: NQN, arrivals: 2 }] };

interface Told {
    readonly nqn?: string;
    /** Targets that it has paths to when it was last observed, and when it is looked at. */
    readonly before?: readonly string[];
    readonly now?: readonly string[] | "silent";
}

function contextOf(known: Record<string, Told>, others: Record<string, Told> = {}): Context {
    const facts = (told: Told, targets: readonly string[]) => ({
        client: { nqn: told.nqn, paths: targets.map((target) => ({ protocol: "nvme-tcp", target })) },
    });
    const host = (name: string, told: Told) => ({
        config: { name },
        facts: () => Promise.resolve(facts(told, told.before ?? [])),
        look: () =>
            told.now === "silent"
                ? Promise.reject(new Error("no answer"))
                : Promise.resolve(facts(told, told.now ?? [])),
    });
    const all: Record<string, Told> = { ...known, ...others };
    return {
        hosts: {
            opened: () => Object.entries(known).map(([name, told]) => host(name, told)),
            names: () => [...Object.keys(all), "broken"],
            get: (name: string) => {
                const told = all[name];
                if (told === undefined) throw new Error("its configuration is not right");
                return host(name, told);
            },
        },
    } as unknown as Context;
}

const san = { before: [] };
const other = "nqn.2010-10.org.blockhost:other:00000000";

test.each<[string, boolean, Context]>([
    ["it has no path any more", true, contextOf({ san, db: { nqn: NQN, before: [TARGET], now: [other] } })],
    ["it has one", false, contextOf({ san, db: { nqn: NQN, before: [], now: [TARGET] } })],
    ["it does not answer", false, contextOf({ san, db: { nqn: NQN, before: [], now: "silent" } })],
    ["this process has not needed it yet", true, contextOf({ san }, { db: { nqn: NQN, now: [] } })],
    ["no host has that name", false, contextOf({ san, db: { nqn: `${NQN}2`, now: [] } })],
    [
        "two hosts have that name, and one has a path",
        false,
        contextOf({ san, one: { nqn: NQN, now: [TARGET] }, two: { nqn: NQN, now: [] } }),
    ],
])("an initiator that may be connected: %s", async (_, gone, context) => {
    const hasGone = await departed(context, "nvme-tcp", seen);
    expect(hasGone({ initiator: NQN, arrivals: 2 })).toBe(gone);
});

test("whoever has come once more since, or is known to be connected, has not gone", async () => {
    const context = contextOf({ san, db: { nqn: NQN, now: [] } });
    const hasGone = await departed(context, "nvme-tcp", seen);
    expect(hasGone({ initiator: NQN, arrivals: 3 })).toBe(false);
    expect(hasGone({ initiator: NQN })).toBe(false);
    expect(hasGone({ initiator: `${NQN}2`, arrivals: 2 })).toBe(false);
    const certain = await departed(context, "iscsi", { targetName: TARGET, sessions: [{ initiator: NQN }] });
    expect(certain({ initiator: NQN })).toBe(false);
});
