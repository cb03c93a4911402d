import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { GUARD_FAILED, isEmpty, type Step } from "../../../provider/host/plan";
import { NAME_MAX_LENGTH } from "../../../provider/names";
import type { ExportWanted, Target, TargetRef } from "../../../provider/targets/types";
import { KernelHost, mark, type Run } from "./kernelHost";

/** Something done to a live export behind our back. */
export interface Alteration {
    /** Shell text, run in the subsystem's directory. */
    readonly by: string;
    /** Property that the difference starts with. */
    readonly property: string;
    /** Files only, or block devices only. */
    readonly on?: "file" | "block";
    /** The attribute that is altered, and nothing else: the kernel may refuse that ({@link KernelSuite.unalterable}). */
    readonly attribute?: string;
    /** It adds to the export what is to go with it, however that was removed. */
    readonly adds?: true;
    /** Shell text that takes away what of it is none of the export's. */
    readonly after?: string;
}

/** Sets one attribute; fails where the kernel has none, refuses the value, or passes over it. */
export function setAttribute(
    where: string,
    path: string,
    value: string,
    property: string,
    on?: "file" | "block",
): Alteration {
    return {
        by: `${where}\nprintf %s '${value}' > ${path} || exit; v=; read -r v < ${path}; [ "$v" = '${value}' ]`,
        property,
        attribute: path.replace(/^.*\//, ""),
        ...(on === undefined ? {} : { on }),
    };
}

/** Another value of an attribute. */
export function another(value: string): string {
    if (value === "0" || value === "1") return value === "0" ? "1" : "0";
    if (value === "Yes" || value === "No") return value === "Yes" ? "No" : "Yes";
    if (/^-?\d+$/.test(value)) return String(Number(value) + 1);
    throw new TypeError(`no other value of ${value} is known`);
}

export interface KernelSuite<Options> {
    readonly target: Target<Options>;
    readonly ref: TargetRef<Options>;
    /** A shell on the host. */
    connect(): Promise<Run>;
    disconnect(): Promise<void>;
    /** Block devices of 64 MiB, made before. */
    readonly devices: readonly [string, string];
    want(name: string, devicePath: string): ExportWanted;
    /** Its first initiator has the longest name and secrets that an export may have. */
    longest(want: ExportWanted): ExportWanted;
    /** The longest beginning of target names that may be configured. */
    readonly longestPrefix: string;
    /** The same export with other credentials, initiators and properties. */
    changed(want: ExportWanted): ExportWanted;
    readonly alterations: readonly Alteration[];
    /** Shell words, in the subsystem's directory: the objects of the export `pg`, and those that it shares. */
    readonly own: string;
    /** How their paths are written in {@link alterations}. */
    readonly shown: readonly (readonly [RegExp, string])[];
    /** Attributes of theirs that can be written and are not compared: path → why. */
    readonly uncompared: Readonly<Record<"file" | "block", Readonly<Record<string, string>>>>;
    /**
     * Shell text, run in the subsystem's directory: what somebody else has beside {@link want}, `elsewhere` by name, or
     * shares with it, and its end. `apart`: nothing of it keeps {@link changed} from being made.
     */
    readonly byHand: { readonly make: string; readonly remove: string; readonly apart?: true };
    /** Lines of a dump that change from one making to the next. */
    readonly volatile: RegExp;
    /** Compared attributes that the lab's kernel lets nobody alter, also while nothing uses the device. */
    readonly unalterable: Readonly<Record<"file" | "block", readonly string[]>>;
}

const FILE = "/srv/blockhost-test/a.img";
const LONGEST = "n".repeat(NAME_MAX_LENGTH);

/** Milliseconds for tests that try many cases, each of which is a few runs on a host. */
const LONG = 3_600_000;

/** Exports of a real kernel, made, altered and cut short at the level of planners. */
export function describeKernelTarget<Options>(suite: KernelSuite<Options>): void {
    const { target, ref } = suite;
    let host: KernelHost<Options>;
    let pristine: string;
    const enter = `cd /sys/kernel/config/${ref.protocol === "iscsi" ? "target" : "nvmet"} || exit`;
    /** @param kept lines of what is not made anew meanwhile, in which nothing is volatile */
    const dump = async (kept?: RegExp) =>
        (await host.dump())
            .split("\n")
            .filter((line) => kept?.test(line) === true || !suite.volatile.test(line))
            .join("\n");
    const additions = suite.alterations.filter(({ adds }) => adds === true);

    beforeAll(async () => {
        host = new KernelHost(target, ref, await suite.connect());
        await host.sh(`mkdir -p /srv/blockhost-test && truncate -s 64M ${FILE}`);
        // Loads the modules, after which the subsystem has a little of its own.
        await host.ensure(suite.want("first", suite.devices[0]));
        await host.remove(suite.want("first", suite.devices[0]));
        pristine = await dump();
    });

    // Whatever a test that failed has left.
    beforeEach(async () => {
        for (const name of ["pg", "one", "two", LONGEST]) {
            if ((await host.observe([name])).exports.has(name))
                await host.remove(suite.want(name, suite.devices[0]));
        }
    });

    afterAll(async () => {
        await host.sh(`rm -rf /srv/blockhost-test ${ref.stateDirectory}`);
        await suite.disconnect();
    });

    const devices = [
        ["a block device", suite.devices[0]],
        ["a file", FILE],
    ] as const;

    describe.each(devices)("an export of %s", (_, device) => {
        const kind = device === FILE ? "file" : "block";

        test("is made, is then as declared, and leaves nothing when it is removed", async () => {
            const want = suite.want("pg", device);
            await host.ensure(want);
            const one = await host.facts("pg");
            expect(one?.differences).toEqual([]);
            expect(one?.sessions).toEqual([]);
            expect(isEmpty(target.ensure(host.context(await host.observe()), want))).toBe(true);
            // Read alone it is the same.
            const alone = (await host.observe(["pg"])).exports.get("pg");
            expect({ ...alone, live: undefined }).toEqual({ ...one, live: undefined });
            await host.remove(want);
            expect(await host.facts("pg")).toBeUndefined();
        });

        test("is changed into another, and back, in place", async () => {
            const want = suite.want("pg", device);
            await host.ensure(want);
            const before = await dump();
            await host.ensure(suite.changed(want));
            expect(await dump()).not.toBe(before);
            expect((await host.facts("pg"))?.differences).toEqual([]);
            await host.ensure(want);
            expect(await dump()).toBe(before);
            await host.remove(want);
        });

        test("of all that can be written, what is not compared is known, and why", async () => {
            const want = suite.want("pg", device);
            await host.ensure(want);
            const found = await host.sh(`${enter}\nfind ${suite.own} -type f -perm /222`);
            const paths = new Set(
                found
                    .trim()
                    .split("\n")
                    .map((path) => suite.shown.reduce((text, [from, to]) => text.replace(from, to), path)),
            );
            const altered = suite.alterations
                .filter(({ on }) => on === undefined || on === kind)
                .map(({ by }) => `${by.replaceAll('"', "")}\n`)
                .join("");
            const left = [...paths].filter((path) => !new RegExp(`> ${escaped(path)}[\\s;]`).test(altered));
            expect(left.sort()).toEqual(Object.keys(suite.uncompared[kind]).sort());
            await host.remove(want);
        });

        test("altered by hand in any field is put back exactly", { timeout: LONG, retry: 0 }, async () => {
            const want = suite.want("pg", device);
            await host.ensure(want);
            const before = await dump();
            const wrong: string[] = [];
            const refused: string[] = [];
            for (const { by, property, on, attribute, after } of suite.alterations) {
                if (on !== undefined && on !== kind) continue;
                const facts = await host.after(`${enter}\n${by}`).catch((error: unknown) => {
                    if (attribute === undefined) wrong.push(`${by}: cannot be done: ${String(error)}`);
                    else refused.push(attribute);
                    return host.observe();
                });
                const found = facts.exports.get("pg")?.differences ?? [];
                if (attribute !== undefined && refused.at(-1) === attribute) {
                    if (found.some((text) => text.includes(attribute)))
                        wrong.push(`${by}: is altered though it failed: ${JSON.stringify(found)}`);
                } else if (!found.some((text) => text.startsWith(property)))
                    wrong.push(`${by}: ${property} is not among ${JSON.stringify(found)}`);
                await host
                    .ensure(want, facts)
                    .catch((error: unknown) => wrong.push(`${by}: ${String(error)}`));
                if (after !== undefined) await host.sh(`${enter}\n${after}`);
                const now = await dump();
                if (now !== before) wrong.push(`${by}: is not put back: ${difference(before, now)}`);
            }
            const unalterable = [...suite.unalterable[kind]].sort();
            expect({ wrong, refused: refused.sort() }).toEqual({ wrong: [], refused: unalterable });
            await host.remove(want);
        });

        test("is removed with all that somebody has added to it", { timeout: LONG }, async () => {
            const want = suite.want("pg", device);
            expect(additions).not.toEqual([]);
            for (const { by } of additions) {
                await host.ensure(want);
                await host.sh(`${enter}\n${by}`);
                await host.remove(want);
                expect(difference(pristine, await dump()), by).toBe("");
            }
        });

        test(
            "cut short after any of its changes is finished, or removed without a trace",
            { timeout: LONG, retry: 0 },
            async () => {
                const want = suite.want("pg", device);
                await host.ensure(want);
                const whole = await dump();
                await host.remove(want);
                const context = host.context(await host.observe());
                const steps = target
                    .ensure(context, want)
                    .steps.filter(({ label }) => !/at boot/.test(label));
                const wrong: string[] = [];
                let count = 0;
                for (let ended = false; !ended; count++) {
                    const { status } = await host.run(
                        cutShort(steps.map(({ script }) => script.text).join("\n"), count),
                        "bash",
                    );
                    ended = status === 0;
                    const facts = await host.observe();
                    if (
                        !ended &&
                        facts.exports.has("pg") &&
                        facts.exports.get("pg")?.differences.length === 0
                    )
                        wrong.push(`after ${String(count)} changes it counts as whole`);
                    // After each change it is finished for one kind of device, and removed at once for the other.
                    if (count % 2 === (kind === "file" ? 1 : 0)) {
                        await host.ensure(want, facts);
                        const now = await dump();
                        if (now !== whole) wrong.push(`after ${String(count)}: ${difference(whole, now)}`);
                    }
                    await host.remove(want);
                    if ((await dump()) !== pristine)
                        wrong.push(`after ${String(count)}: leaves ${difference(pristine, await dump())}`);
                }
                expect(wrong).toEqual([]);
                expect(count).toBeGreaterThan(15);
            },
        );

        test("removed half-way is removed the next time", { timeout: LONG, retry: 0 }, async () => {
            const want = suite.want("pg", device);
            const wrong: string[] = [];
            let count = 0;
            for (let ended = false; !ended; count++) {
                await host.ensure(want);
                const { steps } = target.remove(host.context(await host.observe()), want);
                const { status } = await host.run(
                    cutShort(steps.map(({ script }) => `(${script.text})`).join("\n"), count),
                    "bash",
                );
                ended = status === 0;
                await host.remove(want);
                if ((await dump()) !== pristine)
                    wrong.push(`after ${String(count)}: leaves ${difference(pristine, await dump())}`);
            }
            expect(wrong).toEqual([]);
            expect(count).toBeGreaterThan(5);
        });
    });

    test("the longest names and secrets that are allowed are taken, and leave nothing behind", async () => {
        const options = target.options.parse({ ...ref.options, prefix: suite.longestPrefix });
        const long = new KernelHost(target, { ...ref, options }, host.run);
        const more = { ...ref.options, prefix: `${suite.longestPrefix}x` };
        expect(() => target.options.parse(more)).toThrow(/must have at most/);
        for (const device of [suite.devices[0], FILE]) {
            const want = suite.longest(suite.want(LONGEST, device));
            await long.ensure(want);
            const one = await long.facts(LONGEST);
            expect(one?.differences).toEqual([]);
            expect(one?.targetName.length).toBe(suite.longestPrefix.length + NAME_MAX_LENGTH + 9);
            const before = await dump();
            for (const text of [one?.targetName ?? "?", want.initiators[0]?.name ?? "?", ...secretsOf(want)])
                expect(before).toContain(text);
            await long.remove(want);
            expect(await dump()).toBe(pristine);
        }
    });

    test("what others have there stays as it is", async () => {
        const one = suite.want("one", suite.devices[0]);
        const two = suite.want("two", suite.devices[1]);
        await host.ensure(one);
        const before = await dump();
        await host.ensure(two);
        const after = new Set((await dump()).split("\n"));
        expect(before.split("\n").filter((line) => !after.has(line))).toEqual([]);
        await host.remove(two);
        expect(await dump()).toBe(before);
        await host.remove(one);
    });

    test("what others have made by hand stays as it is, whether or not an export uses it", async () => {
        const { make, remove, apart = false } = suite.byHand;
        await host.sh(`${enter}\n${make}`);
        try {
            const all = async () => (await dump(/elsewhere/)).split("\n");
            const theirs = await all();
            const want = suite.want("pg", suite.devices[0]);
            const ensure = async (one: ExportWanted) => {
                await host.ensure(one);
                expect((await host.facts("pg"))?.differences).toEqual([]);
                const now = new Set(await all());
                expect(theirs.filter((line) => !now.has(line))).toEqual([]);
            };
            const fewer = { ...want, initiators: want.initiators.slice(1) };
            for (const one of [want, fewer, ...(apart ? [suite.changed(want)] : []), want]) await ensure(one);
            for (const { by } of additions) {
                await host.sh(`${enter}\n${by}`);
                await ensure(want);
            }
            if (!apart) {
                const context = host.context(await host.observe());
                expect(() => target.ensure(context, suite.changed(want))).toThrow(/not-ours/);
            }
            await host.remove(want);
            expect(await all()).toEqual(theirs);
        } finally {
            await host.sh(`${enter}\n${remove}`);
        }
        expect(await dump()).toBe(pristine);
    });

    test("a device that is as noted is known without a process, and another one at its path is told of", async () => {
        const path = "/dev/blockhost-test";
        const put = (device: string) => host.sh(`ln -sfn ${device} ${path}`);
        const differences = async (before = "") => {
            const printed = await host.sh(`${before}\n${target.observe(ref, ["pg"]).text}`);
            return target.parse(ref, printed).exports.get("pg")?.differences;
        };
        const [first, second] = suite.devices;
        const want = suite.want("pg", path);
        await put(first);
        try {
            await host.ensure(want);
            expect(await differences()).toEqual([]);
            expect(await differences("stat() { :; }")).toEqual([]);
            await put(second);
            expect(await differences()).not.toEqual([]);
            await put(first);
            await host.remove(want);
        } finally {
            await host.sh(`rm ${path}`);
        }
        expect(await dump()).toBe(pristine);
    });

    test("the boot file alone makes it anew", async () => {
        const want = suite.want("pg", suite.devices[0]);
        await host.ensure(want);
        const before = await dump();
        const facts = await host.observe();
        const { steps } = target.remove(host.context(facts), want);
        const takeDown = steps.find(({ label }) => label.startsWith("take "));
        if (takeDown === undefined) throw new Error("no step");
        await host.steps([takeDown]);
        expect((await host.facts("pg"))?.differences).toContain("missing");
        await host.sh(`sh ${ref.stateDirectory}/exports/${ref.protocol}/pg`);
        expect(await dump()).toBe(before);
        expect((await host.facts("pg"))?.differences).toEqual([]);
        await host.remove(want);
        expect(await dump()).toBe(pristine);
    });

    test("without its boot file it is known by its name and serial number, and finished or removed", async () => {
        const want = suite.want("pg", suite.devices[0]);
        await host.ensure(want);
        const before = await dump();
        const { targetName = "" } = (await host.facts("pg")) ?? {};
        const losing = async () => {
            const facts = await host.after(`rm ${ref.stateDirectory}/exports/${ref.protocol}/pg`);
            const one = target.orphan?.(host.context(facts), want, targetName);
            if (one === undefined) throw new Error("it is not known");
            expect(
                target.orphan?.(
                    host.context(facts),
                    { ...want, mark: mark("pg", "fedcba9876543210") },
                    targetName,
                ),
            ).toBeUndefined();
            // Nor does it become a second one beside the first where the state of the program is lost, too.
            for (const generation of [want.mark.generation, "fedcba9876543210"])
                expect(() =>
                    target.ensure(host.context(facts), { ...want, mark: mark("pg", generation) }),
                ).toThrow(/not-ours/);
            return { ...facts, exports: new Map([["pg", one]]) };
        };
        await host.ensure(want, await losing());
        expect(await dump()).toBe(before);
        expect((await host.facts("pg"))?.differences).toEqual([]);
        await host.remove(want, await losing());
        expect(await dump()).toBe(pristine);
    });

    test("what was planned for an export that is another one by now changes nothing", async () => {
        const want = suite.want("pg", FILE);
        const nothing = host.context(await host.observe());
        await host.ensure(want);
        const one = host.context(await host.observe());
        const whole = await dump();
        const late = async (steps: readonly Step[]) => {
            expect(steps).not.toEqual([]);
            await expect(host.steps(steps)).rejects.toMatchObject({ status: GUARD_FAILED });
        };
        await late(target.ensure(nothing, suite.changed(want)).steps);
        expect(await dump()).toBe(whole);
        await host.remove(want);
        await late(target.ensure(one, suite.changed(want)).steps);
        await late(target.remove(one, want).steps);
        for (const exchanged of [true, false])
            await late(target.reopen(one, { name: "pg", sizeBytes: 2 ** 27, exchanged }).close);
        expect(await dump()).toBe(pristine);
    });

    test("no secret is in what an observation prints", async () => {
        const want = suite.want("pg", suite.devices[0]);
        await host.ensure(want);
        const printed = await host.sh(target.observe(ref).text);
        for (const secret of secretsOf(want)) expect(printed).not.toContain(secret);
        expect(await host.sh(`cat ${ref.stateDirectory}/exports/*/pg`)).toContain(secretsOf(want)[0]);
        expect(await host.sh(`stat -c %a ${ref.stateDirectory}/exports/*/pg`)).toBe("600\n");
        await host.remove(want);
    });

    test("an export of another owner or generation stays untouched", async () => {
        const want = suite.want("pg", suite.devices[0]);
        await host.ensure(want);
        const context = host.context(await host.observe());
        for (const other of [mark("somebody-else"), mark("pg", "fedcba9876543210")]) {
            expect(() => target.ensure(context, { ...want, mark: other })).toThrow(/not-ours/);
            expect(() => target.remove(context, { name: "pg", mark: other })).toThrow(/not-ours/);
        }
        await host.remove(want);
    });
}

function secretsOf({ initiators }: ExportWanted): string[] {
    return initiators.flatMap(({ chap, mutualChap, dhchap }) =>
        [chap?.password, mutualChap?.password, dhchap?.key, dhchap?.controllerKey].flatMap(
            (secret) => secret?.value ?? [],
        ),
    );
}

/**
 * Lets so many commands run that change something (make, link, remove, or write to a file or attribute), and then kills
 * the shell. They are counted in a file, since a step may be a subshell.
 */
function cutShort(script: string, changes: number): string {
    return `set -o posix; set -T; echo ${String(changes)} > ${LEFT}
bh_cut() {
    local bh_left bh_to=$BASH_COMMAND
    # Where it writes to is at its end; bash takes minutes to look through a whole boot file.
    [ \${#bh_to} -lt 300 ] || bh_to=\${bh_to: -300}
    bh_to=\${bh_to//2> \\/dev\\/null/}; bh_to=\${bh_to//1>&2/}
    case $BASH_COMMAND in mkdir\\ *|ln\\ *|rm\\ *|rmdir\\ *|mv\\ *|identify\\ *) ;; *) case $bh_to in *'>'*) ;; *) return 0 ;; esac ;; esac
    read -r bh_left < ${LEFT}
    [ "$bh_left" -gt 0 ] || kill -KILL $$ $BASHPID
    echo $((bh_left - 1)) > ${LEFT}
}
trap bh_cut DEBUG
${script}`;
}

const LEFT = "/run/blockhost-test-left";

function escaped(text: string): string {
    return text.replaceAll(/[$*.]/g, "\\$&");
}

function difference(before: string, after: string): string {
    const [a, b] = [new Set(before.split("\n")), new Set(after.split("\n"))];
    const gone = [...a].filter((line) => !b.has(line)).map((line) => `-${line}`);
    const come = [...b].filter((line) => !a.has(line)).map((line) => `+${line}`);
    return [...gone, ...come].slice(0, 12).join(" ");
}
