import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "../support/client";
import { type Point, Saboteur, makeShims } from "../support/saboteur";
import type { Case, States } from "./cases/types";
import { provider } from "./providerProcess";
import type { Outcome, Scene, Stop } from "./stops";
import { type Tormented, clientOf } from "./world";

/** In how many places a script is cut on its way. */
export const CUTS = 4;

/** Trials on one host, one after the other. */
export class Trials<W extends Tormented> {
    private serial = 0;
    private empty: string[] = [];
    private readonly finished = new Map<string, string[]>();
    private opened: Client[] = [];
    /** Prepares, looks again and clears away; its connection is kept from trial to trial. */
    private readonly keeper: Client;

    private constructor(readonly world: W) {
        this.keeper = clientOf(world);
    }

    /** Prepares the host so far that all later operations leave it as it is now. */
    static async on<W extends Tormented>(world: W): Promise<Trials<W>> {
        const trials = new Trials(world);
        await world.sh(makeShims(trials.shims));
        await trials.begin();
        return trials;
    }

    private async begin(): Promise<void> {
        await this.world.warmUp(this.fresh());
        await this.close();
        this.empty = await this.inventory();
    }

    private get shims(): string {
        return join(this.world.haltDirectory, "shims");
    }

    /** As a process that knows nothing of the host yet. */
    private fresh(): Client {
        this.keeper.host.forget();
        return this.keeper;
    }

    async stop(): Promise<void> {
        await this.close();
        await this.keeper.close();
    }

    private client(saboteur?: Saboteur): Client {
        const client = clientOf(this.world, saboteur === undefined ? {} : { transport: saboteur.transport });
        this.opened.push(client);
        return client;
    }

    private async close(): Promise<void> {
        await Promise.all(this.opened.splice(0).map((one) => one.close()));
    }

    /** How the host looks after an operation that nothing disturbed. */
    private async undisturbed(what: Case<W>): Promise<string[]> {
        const known = this.finished.get(what.title);
        if (known !== undefined) return known;
        const name = this.name();
        const before = (await what.prepare?.(this.fresh(), name, this.world)) ?? {};
        const after = await what.act(this.fresh(), name, before);
        await what.verify(this.world, name, after, before);
        await this.close();
        const inventory = await this.inventory(name);
        this.finished.set(what.title, inventory);
        await this.clean(what, name, before, after);
        return inventory;
    }

    /**
     * Stops an operation at a point in one way, and asks for the same again. It must end as if nothing had happened,
     * a third process must find nothing to do, and all of it must be deletable without a trace.
     *
     * @returns false: the operation has no such point.
     */
    async trial(what: Case<W>, stop: Stop<W>, at: number): Promise<boolean> {
        try {
            return await this.attempt(what, stop, at);
        } catch (error) {
            await this.recover().catch((reason: unknown) => {
                throw new AggregateError(
                    [error, reason],
                    `${String(error)}\nand after that: ${String(reason)}`,
                );
            });
            throw error;
        } finally {
            await this.close();
        }
    }

    private async attempt(what: Case<W>, stop: Stop<W>, at: number): Promise<boolean> {
        const { world } = this;
        const expected = await this.undisturbed(what);
        const name = this.name();
        const before = (await what.prepare?.(this.fresh(), name, world)) ?? {};
        const met =
            stop.where === "ends"
                ? await this.endEarly(what, name, before, at)
                : stop.where === "transit"
                  ? await this.cutShort(what, name, before, at)
                  : await this.halt(what, name, before, stop, at);
        await what.always?.(world, name);

        const after = await what.act(this.client(), name, before);
        await world.sh(`rm -f '${this.marker(name)}' '${this.marker(name)}.count'`);
        await what.verify(world, name, after, before);
        await what.always?.(world, name);

        await this.close();
        const third = this.fresh();
        const runs = third.runs;
        assert.deepEqual(await what.act(third, name, before), after);
        const read = what.reads ?? 1;
        assert.equal(third.runs - runs, read, "remote runs of a process that has nothing to do");
        same(await this.inventory(name), expected, "in the end");
        await this.clean(what, name, before, after);
        return met;
    }

    private async halt(
        what: Case<W>,
        name: string,
        before: States,
        stop: Stop<W>,
        at: number,
    ): Promise<boolean> {
        const { world } = this;
        const marker = this.marker(name);
        const point: Point =
            stop.where === "inside"
                ? { where: "inside", at: at + 1, marker, shims: this.shims }
                : { where: "between", at, marker };
        const saboteur = new Saboteur(point, { live: stop.lives === true });
        const job = {
            kind: "case" as const,
            configuration: world.configuration(),
            title: what.title,
            name,
            before,
            point,
        };
        const killed = stop.kills === undefined ? undefined : await provider(job);
        const work: Promise<Outcome> = killed
            ? killed.answer.then(({ error }) => (error === undefined ? DONE : { done: false, error }), failed)
            : what.act(this.client(saboteur), name, before).then(() => DONE, failed);
        const scene: Scene<W> = {
            world,
            marker,
            release: async () => {
                await world.sh(`rm -f '${marker}'`);
            },
            again: () => what.act(this.client(), name, before).then(() => DONE, failed),
        };
        const met = await reaches(world, marker, work);
        if (met) {
            await stop.strike?.(scene);
            if (stop.lives !== true) saboteur.die();
            await killed?.kill();
            // A halted process that is to live on goes on now; of the others nothing is left that could.
            if (stop.lives === true || (stop.where === "inside" && stop.power !== true))
                await scene.release();
            scene.outcome = await work;
            if (stop.lives !== true && stop.mayEnd !== true) {
                assert.equal(scene.outcome.done, false, "the stopped process came to its end");
            }
            await stop.afterwards?.(scene);
        } else {
            const outcome = await work;
            // What has failed by itself says nothing about points.
            if (!outcome.done) throw new Error("it failed before the point", { cause: outcome.error });
        }
        await killed?.kill();
        return met;
    }

    /** The script ends in the middle, of which the process is told nothing: it has to find out and finish by itself. */
    private async endEarly(what: Case<W>, name: string, before: States, at: number): Promise<boolean> {
        const saboteur = new Saboteur({ where: "ends", at }, { live: true });
        await what.act(this.client(saboteur), name, before);
        return saboteur.reached;
    }

    /** The n-th script with steps is cut on its way, so not a thing may change; then the connection is lost. */
    private async cutShort(what: Case<W>, name: string, before: States, at: number): Promise<boolean> {
        const { world } = this;
        let untouched: string[] | undefined;
        const saboteur = new Saboteur(
            { where: "transit", at: Math.floor(at / CUTS) },
            {
                onScript: async (length) => {
                    untouched = await this.inventory(name);
                    const part = (at % CUTS) + 1;
                    world.cutAfter(part === CUTS ? length - 1 : Math.floor((length * part) / CUTS));
                },
            },
        );
        const outcome = await what.act(this.client(saboteur), name, before).then(() => DONE, failed);
        if (untouched === undefined) return false;
        assert.equal(outcome.done, false, "the script was cut short");
        await this.close();
        same(await this.inventory(name), untouched, "after a script cut short");
        return true;
    }

    /** Trials so far. */
    get count(): number {
        return this.serial;
    }

    private marker(name: string): string {
        return join(this.world.haltDirectory, name);
    }

    private name(): string {
        return `zz${String(this.serial++)}z`;
    }

    /** As soon as the runs of processes that are gone have ended. */
    private async inventory(name?: string): Promise<string[]> {
        for (let tries = 0; ; tries++) {
            const listed = await this.world.inventory();
            const lines = listed
                .map((line) => (name === undefined ? line : line.replaceAll(name, "NAME")))
                .sort();
            const busy = lines.some((line) => /processes are left|lock is held/.test(line));
            if (!busy || tries > 100) return lines;
            await sleep(20);
        }
    }

    /** Deletes all that a case made; nothing may be left of it. */
    private async clean(what: Case<W>, name: string, before: States, after: States): Promise<void> {
        const client = this.fresh();
        for (const left of what.leavesSnapshots?.(name) ?? []) await this.world.discard(left);
        const states = { ...before, ...after };
        for (const state of [
            states.attachment,
            states.export,
            states.snapshot,
            states.volume,
            states.origin,
            states.pool,
        ]) {
            if (state !== undefined) await client.delete(state);
        }
        for (const left of what.leaves?.(name) ?? []) await this.world.discard(left);
        same(await this.inventory(), this.empty, "left when all was deleted");
    }

    /** After a failure, so that later trials do not fail for the same reason. */
    private async recover(): Promise<void> {
        await this.stop();
        await this.world.reset();
        this.finished.clear();
        await this.begin();
    }
}

const DONE: Outcome = { done: true };
const failed = (error: unknown): Outcome => ({ done: false, error });

/** What is there and should not be, and the other way round. */
function same(actual: readonly string[], expected: readonly string[], when: string): void {
    const more = actual.filter((line) => !expected.includes(line)).map((line) => `+ ${line}`);
    const less = expected.filter((line) => !actual.includes(line)).map((line) => `- ${line}`);
    const text = [`the host is not as it should be ${when}:`, ...more, ...less].join("\n");
    assert.ok(more.length + less.length === 0 && actual.length === expected.length, text);
}

/** Whether the host comes to a halt at the marker before the operation ends. */
async function reaches(world: Tormented, marker: string, work: Promise<unknown>): Promise<boolean> {
    let ended = false;
    const end = () => (ended = true);
    work.then(end, end);
    while (!(await world.sees(marker))) {
        if (ended) return world.sees(marker);
        await sleep(5);
    }
    return true;
}
