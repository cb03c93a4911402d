import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { BlockhostError } from "../../provider/errors";
import { failureOf } from "../support/client";
import type { Point } from "../support/saboteur";
import type { Case } from "./cases/types";
import type { Tormented, Volume, World } from "./world";

/** A way to stop an operation at a point, and what has to be done before the next run is asked for the same. */
export interface Stop<W extends Tormented = Tormented> {
    readonly title: string;
    readonly where: Point["where"];
    /** The operation runs in a process of its own, which is killed. */
    readonly kills?: "provider";
    /** Concerns only some operations. */
    readonly concerns?: (what: Concern) => boolean;
    /** Within steps there are many points: the full matrix tries every n-th. Default 1. */
    readonly every?: number;
    /** The process lives on and may well finish the operation by itself. */
    readonly lives?: true;
    /** The process dies, but the answer may be quicker. */
    readonly mayEnd?: true;
    /** The power fails: on the host nothing runs that could go on. */
    readonly power?: true;
    /** One of those that are tried after each step of every operation, on every kind of host. */
    readonly basic?: true;
    /** Happens to another host than the one that the operation changes. */
    readonly elsewhere?: true;
    /** Happens while the host stands still at the point. */
    readonly strike?: (scene: Scene<W>) => Promise<void>;
    /** The operation has come to its end, in whatever way. */
    readonly afterwards?: (scene: Scene<W>) => Promise<void>;
}

type Concern = Pick<Case, "exported" | "touchesPool" | "slow">;

/** One stop of one operation, as far as it has come. */
export interface Scene<W extends Tormented = Tormented> {
    readonly world: W;
    /** File on the host that a halted process waits for to go. */
    readonly marker: string;
    /** Takes the marker away. */
    readonly release: () => Promise<void>;
    /** How the stopped operation ended. */
    outcome?: Outcome;
    /** Asks for the same once more, in a new process. */
    readonly again: () => Promise<Outcome>;
    /** Undoes what the strike did to the host. */
    mend?: () => Promise<void>;
}

export type Outcome = { readonly done: true } | { readonly done: false; readonly error: unknown };

const exported = (what: Concern) => what.exported === true;

const between: readonly Stop[] = [
    {
        title: "connection cut",
        where: "between",
        basic: true,
        // The next process comes at once, while the host may still be at it.
        strike: ({ world }) => world.cutConnections(),
    },
    {
        title: "connection cut, the host goes on",
        where: "between",
        mayEnd: true,
        strike: async ({ world, release }) => {
            await release();
            await world.cutConnections();
        },
    },
    { title: "shell killed", where: "between", basic: true, strike: ({ world }) => world.killShells() },
    { title: "provider killed -9", where: "between", basic: true, kills: "provider" },
    {
        title: "power fails",
        where: "between",
        basic: true,
        power: true,
        strike: ({ world }) => world.powerOff(),
        afterwards: ({ world }) => world.powerOn(),
    },
    { title: "script ends", where: "ends", lives: true },
];

const inside: readonly Stop[] = [
    { title: "shell killed in a step", where: "inside", every: 6, strike: ({ world }) => world.killShells() },
    {
        title: "command of a step killed",
        where: "inside",
        every: 6,
        lives: true,
        strike: async ({ world, marker }) => {
            await world.sh(`kill -KILL "$(cat '${marker}')"`);
        },
    },
    { title: "provider killed -9 in a step", where: "inside", every: 15, kills: "provider" },
    {
        title: "power fails in a step",
        where: "inside",
        every: 15,
        power: true,
        strike: ({ world }) => world.powerOff(),
        afterwards: ({ world }) => world.powerOn(),
    },
];

const daemon: readonly Stop<World>[] = [
    {
        title: "tgtd killed",
        where: "between",
        concerns: exported,
        lives: true,
        strike: ({ world }) => world.killDaemon(),
        afterwards: ({ world }) => world.startDaemon(),
    },
    {
        title: "tgtd restarted",
        where: "between",
        concerns: exported,
        lives: true,
        strike: async ({ world }) => {
            await world.killDaemon();
            await world.startDaemon();
        },
    },
    {
        title: "tgtd killed in a step",
        where: "inside",
        every: 6,
        concerns: exported,
        lives: true,
        strike: ({ world }) => world.killDaemon(),
        afterwards: ({ world }) => world.startDaemon(),
    },
];

const full = (volume: Volume, where: "between" | "inside", title: string): Stop<World> => ({
    title,
    where,
    every: where === "inside" ? 12 : 1,
    // Exports and long work are what writes to the state directory.
    concerns: (what) =>
        volume === "pool" ? what.touchesPool !== false : exported(what) || what.slow === true,
    lives: true,
    strike: async (scene) => {
        scene.mend = await scene.world.fillUp(volume);
    },
    afterwards: async (scene) => {
        // What takes no room may go through; all else says what it lacks, however often it is asked.
        for (const outcome of [scene.outcome, await scene.again()]) {
            if (outcome === undefined || outcome.done) continue;
            const error = failureOf(outcome.error);
            assert(error instanceof BlockhostError && error.code === "no-space", String(error));
            assert(error.details.hint, "no hint");
        }
        await scene.mend?.();
    },
});

const noSpace: readonly Stop<World>[] = [
    full("pool", "between", "pool full"),
    full("state directory", "between", "state directory full"),
    full("pool", "inside", "pool full in a step"),
    full("state directory", "inside", "state directory full in a step"),
];

const transit: readonly Stop[] = [{ title: "script cut short in transit", where: "transit" }];

/** How long after a point the blow falls, ms: another time each. Emulated, a command of LVM takes up to a second. */
let moment = 0;
async function aMoment(): Promise<void> {
    moment = (moment + 170) % 1100;
    await sleep(moment);
}

/** Within the commands of LVM there are no points: the host goes on for a moment, into one of them. */
export const MOMENTS: readonly Stop[] = [
    {
        title: "power fails a moment later",
        where: "between",
        mayEnd: true,
        power: true,
        strike: async ({ world, release }) => {
            await release();
            await aMoment();
            await world.powerOff();
        },
        afterwards: ({ world }) => world.powerOn(),
    },
    {
        title: "shell killed a moment later",
        where: "between",
        mayEnd: true,
        strike: async ({ world, release }) => {
            await release();
            await aMoment();
            await world.killShells();
        },
    },
];

export const STOPS = { between, inside, daemon, noSpace, transit };
export const EVERY: readonly Stop<World>[] = Object.values(STOPS).flat();
