import {
    existsSync,
    mkdirSync,
    readFileSync,
    readdirSync,
    readlinkSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeMark } from "../../provider/host/mark";
import { Hosts } from "../../provider/host/hosts";
import { lifecycles } from "../../provider/resources";
import type { Context } from "../../provider/resources/types";
import { Secret } from "../../provider/sh";
import { tgtTarget } from "../../provider/targets/tgt";
import { createTransport } from "../../provider/transport";
import { removeDirectory, temporaryDirectory } from "../../tools/lifetime.mjs";
import { Pwned, pieces, seed, text } from "../support/hostile";
import { TgtHost } from "./targets/tgtHost";

/**
 * Hostile values of every argument that reaches the host, through the whole core and the scripts that it composes, in
 * every shell that a host may have. `pwned` is a command on PATH that leaves a trace.
 */

let directory: string;
let pwned: Pwned;
/** How many values of each argument were in a script that ran to its end. */
const executed: Record<string, number> = {};
const count = (argument: string, more = 1) => (executed[argument] = (executed[argument] ?? 0) + more);

beforeAll(() => {
    directory = temporaryDirectory("hostile");
    pwned = new Pwned(directory);
});
afterAll(() => {
    pwned.restore();
    removeDirectory(directory);
});

const lifecycle = (kind: string) => {
    const found = lifecycles[kind];
    if (found === undefined) throw new Error(`no ${kind}`);
    return found;
};

/** Distinct values. */
function sample(arbitrary: fc.Arbitrary<string>, howMany: number, salt: number): string[] {
    const all = new Set<string>();
    for (let round = 0; all.size < howMany && round < 50; round++)
        for (const value of fc.sample(arbitrary, { numRuns: howMany, seed: seed + salt * 100 + round }))
            all.add(value);
    expect(all.size).toBeGreaterThanOrEqual(howMany);
    return [...all].slice(0, howMany);
}

const wellFormed = text.filter((value) => !value.includes("\0") && Buffer.from(value).toString() === value);
/** The most hostile names that the grammar lets through. */
const name = fc
    .array(
        fc.constantFrom(
            "a",
            "Z9",
            "_",
            "-",
            "--",
            ".",
            "..",
            "-rf",
            "$(pwned)".replaceAll(/\W/g, "-"),
            ".img",
        ),
        {
            minLength: 1,
            maxLength: 8,
        },
    )
    .map((parts) => `_${parts.join("")}x`.slice(0, 60));
const short = (value: string) => [...value].slice(0, 12).join("");
const fileName = wellFormed.filter(
    // Names with control characters are not listed, and so cannot be adopted.
    (value) => value !== "" && !/^\.|\/|\.img$|\p{Cc}/u.test(value) && Buffer.byteLength(value) <= 200,
);
const pathPart = wellFormed
    .map((value) => value.replaceAll(/[\p{Cc}/]/gu, ""))
    .filter((value) => value !== "" && !/^\.+$/.test(value) && Buffer.byteLength(value) <= 120);
const PATIENCE_MS = 900_000;
const PER_SHELL = 70;
/** Each is a host and a pool of its own. */
const PLACES_PER_SHELL = 40;

describe.each([["dash"], ["bash --posix"], ["busybox sh"]])("%s", { timeout: PATIENCE_MS }, (shell) => {
    const salt = shell.length;
    const hostsOf = (configured: Record<string, unknown>) =>
        new Hosts(configured, (config) => createTransport({ ...config, shell }));

    test("volumes and snapshots", async () => {
        const root = join(directory, `objects-${String(salt)}`);
        const pool = join(root, "pool");
        mkdirSync(pool, { recursive: true });
        const hosts = hostsOf({
            emb: {
                address: "local",
                stateDirectory: join(root, "state"),
                pools: { fast: { driver: "file", directory: pool, initialize: true } },
            },
        });
        const contextOf = (installation: string): Context => ({ hosts, installation, warn: () => undefined });
        const mine = contextOf("default");
        const neighbour = { organization: "acme", project: "shop", stack: "prod", resource: "neighbour" };
        const place = { host: "emb", pool: "fast" };
        await lifecycle("Volume").create(mine, {
            ...place,
            name: "neighbour",
            size: "4KiB",
            owner: neighbour,
        });
        writeFileSync(join(pool, "neighbour.img"), Buffer.alloc(4096, "neighbour"));

        const names = sample(name, PER_SHELL, salt);
        const fields = sample(wellFormed.map(short), PER_SHELL * 5, salt + 1);
        const files = sample(fileName, PER_SHELL, salt + 2);
        const tokens = sample(name, PER_SHELL, salt + 3);
        for (const file of files) writeFileSync(join(pool, file), Buffer.alloc(512, "theirs"));
        hosts.get("emb").forget();
        const before = fingerprint(pool);
        const owners = names.map((_, i) => ({
            organization: fields[i * 5] ?? "",
            project: fields[i * 5 + 1] ?? "",
            stack: fields[i * 5 + 2] ?? "",
            resource: fields[i * 5 + 3] ?? "",
            parent: fields[i * 5 + 4] ?? "",
        }));
        const installations = [...fields].reverse();
        const context = (i: number) => contextOf(installations[i] ?? "");
        const made = await Promise.all(
            names.map((one, i) =>
                lifecycle("Volume").create(context(i), {
                    ...place,
                    name: one,
                    size: `${String(i + 1)}KiB`,
                    wipe: { method: "zero", limit: `${String(i + 1)}KiB`, ionice: i % 8 },
                    owner: owners[i],
                }),
            ),
        );
        for (const [i, one] of names.entries()) {
            const mark = decodeMark(readlinkSync(join(pool, ".blockhost", "marks", one)));
            expect(mark?.owner).toEqual({ installation: installations[i], ...owners[i] });
            expect(statSync(join(pool, `${one}.img`)).size).toBe((i + 1) * 1024);
        }
        const snapshots = await Promise.all(
            names.map((one, i) =>
                lifecycle("Snapshot").create(context(i), {
                    host: "emb",
                    name: `s-${one}`,
                    volume: `emb/fast/${one}`,
                    owner: { ...owners[i], resource: `${owners[i]?.resource ?? ""}'s` },
                }),
            ),
        );
        const states = await Promise.all(
            names.map((one, i) =>
                lifecycle("Volume").update(context(i), made[i]?.state, {
                    ...(made[i]?.state as object),
                    size: `${String(i + 2)}KiB`,
                    revertTo: { snapshot: `emb/fast/s-${one}`, token: tokens[i] },
                }),
            ),
        );
        const clones = await Promise.all(
            names.map((one, i) =>
                lifecycle("Volume").create(context(i), {
                    ...place,
                    name: `c${one}`,
                    source: { snapshot: `emb/fast/s-${one}` },
                    owner: { ...owners[i], resource: `clone of ${owners[i]?.resource ?? ""}` },
                }),
            ),
        );
        const copies = await Promise.all(
            names.map((one, i) =>
                lifecycle("Volume").create(context(i), {
                    ...place,
                    name: `d${one}`,
                    source: { volume: `emb/fast/c${one}` },
                    owner: { ...owners[i], resource: `copy of ${owners[i]?.resource ?? ""}` },
                }),
            ),
        );
        const adopted = await Promise.all(
            files.map((file, i) =>
                lifecycle("Volume").create(context(i), {
                    ...place,
                    name: `a${String(i)}`,
                    adopt: file,
                    owner: { ...owners[i], resource: `adopter of ${owners[i]?.resource ?? ""}` },
                }),
            ),
        );
        for (const i of files.keys())
            expect(readFileSync(join(pool, `a${String(i)}.img`)).equals(Buffer.alloc(512, "theirs"))).toBe(
                true,
            );
        for (const argument of ["Volume.name", "Volume.size", "wipe.limit", "wipe.ionice", "installation"])
            count(argument, names.length);
        for (const argument of ["organization", "project", "stack", "resource", "parent"])
            count(`owner.${argument}`, names.length);
        for (const argument of [
            "Snapshot.name",
            "Snapshot.volume",
            "source.snapshot",
            "source.volume",
            "revertTo.snapshot",
        ])
            count(argument, names.length);
        count("revertTo.token", tokens.length);
        count("adopt", files.length);
        // What was not named is as it was, whatever came and went beside it.
        const untouched = (path: string) => /^neighbour|marks\/neighbour$|blockhost\/pool$/.test(path);
        expect(fingerprint(pool).filter(untouched)).toEqual(before.filter(untouched));
        const all = [...clones, ...copies]
            .map(({ state }) => state)
            .concat(adopted.map(({ state }) => state));
        await Promise.all(snapshots.map(({ state }, i) => lifecycle("Snapshot").delete(context(i), state)));
        await Promise.all(states.map((state, i) => lifecycle("Volume").delete(context(i), state)));
        await Promise.all(
            all.map((state, i) => lifecycle("Volume").delete(context(i % names.length), state)),
        );
        await hosts.close();
        const left = readdirSync(pool).sort();
        expect(left).toEqual([".blockhost", "neighbour.img"]);
        expect(readdirSync(join(pool, ".blockhost", "marks"))).toEqual(["neighbour"]);
        pwned.expectNone();
    });

    test("directories of pools and of the host's state", async () => {
        const root = join(directory, `places-${String(salt)}`);
        const places = sample(pathPart, PLACES_PER_SHELL, salt + 4).map((part) => join(root, part));
        const hosts = hostsOf(
            Object.fromEntries(
                places.map((place, i) => [
                    `h${String(i)}`,
                    {
                        address: "local",
                        stateDirectory: `${place}/${pieces[i % pieces.length]?.replaceAll(/[\0\n/]/g, "") ?? ""}s`,
                        pools: { fast: { driver: "file", directory: `${place}/pool`, initialize: true } },
                    },
                ]),
            ),
        );
        const context: Context = { hosts, installation: "default", warn: () => undefined };
        const owner = { organization: "acme", project: "shop", stack: "prod", resource: "v" };
        for (const [i, place] of places.entries()) {
            mkdirSync(join(place, "pool"), { recursive: true });
            const args = { host: `h${String(i)}`, pool: "fast", name: "v", size: "1KiB", owner };
            const { state } = await lifecycle("Volume").create(context, args);
            expect(statSync(join(place, "pool", "v.img")).size).toBe(1024);
            await lifecycle("Volume").delete(context, state);
            expect(readdirSync(join(place, "pool"))).toEqual([".blockhost"]);
            // A shell a host: they would add up.
            await hosts.get(`h${String(i)}`).close();
        }
        count("directory", places.length);
        count("stateDirectory", places.length);
        expect(readdirSync(root).sort()).toEqual(places.map((place) => place.slice(root.length + 1)).sort());
        pwned.expectNone();
    });
});

describe("exports on tgt", { timeout: PATIENCE_MS }, () => {
    test("names, initiators, addresses and credentials arrive as they are, and nothing in them runs", async () => {
        const tgt = await TgtHost.start();
        try {
            const word = (alphabet: readonly string[], least: number, most: number) =>
                fc
                    .array(fc.constantFrom(...alphabet), { minLength: least, maxLength: least })
                    .map((parts) => parts.join("").padEnd(least, "'").slice(0, most));
            const hostile = [
                "$(pwned)",
                "`pwned`",
                "';pwned;'",
                '";pwned"',
                "&&pwned",
                "|pwned",
                "$IFS",
                "\\",
                "!",
                "#",
                "%s",
            ];
            const passwords = sample(word(hostile, 12, 16), 300, 7);
            const users = sample(
                word(["@", ":", "-", "--", "-rf", "..", "_", "a", "Z9"], 12, 40).map((user) => `u${user}`),
                300,
                8,
            );
            const names = sample(name, 100, 9);
            const bystander = tgt.want("bystander");
            tgt.ensure(bystander);
            const theirs = JSON.stringify(tgt.observe().exports.get("bystander")?.extra);
            for (const [i, one] of names.entries()) {
                const user = (k: number) => users[i * 3 + k] ?? "";
                const secret = (k: number) => new Secret(passwords[i * 3 + k] ?? "");
                const initiator = `iqn.2024-01.com.example:-${user(2).replaceAll(/[@_]/g, ".").toLowerCase()}`;
                const want = tgt.want(one, {
                    initiators: [
                        {
                            name: initiator,
                            chap: { username: user(0), password: secret(0) },
                            mutualChap: { username: user(1), password: secret(1) },
                        },
                    ],
                });
                expect(tgtTarget.check(tgt.ref, want)).toEqual([]);
                tgt.ensure(want);
                const found = tgt.observe().exports;
                expect(found.get(one)?.differences).toEqual([]);
                if (i % 10 === 0) expect(JSON.stringify(found.get("bystander")?.extra)).toBe(theirs);
                tgt.remove(want);
                // All of this is synchronous: let the runner have a word.
                await new Promise((resolve) => setImmediate(resolve));
            }
            for (const argument of ["Export.name", "initiators.iqn", "chap.username", "chap.password"])
                count(argument, names.length);
            for (const argument of ["mutualChap.username", "mutualChap.password"])
                count(argument, names.length);
            expect([...tgt.observe().exports.keys()]).toEqual(["bystander"]);
            pwned.expectNone();
        } finally {
            await tgt.stop();
        }
    });

    test("addresses, portals and prefixes: whatever the grammar lets through arrives as it is", async () => {
        const tgt = await TgtHost.start();
        try {
            const prefixes = sample(
                fc
                    .array(fc.constantFrom("-", "--", ":", "::", ".", "..", "-rf", "a", "0"), {
                        minLength: 3,
                        maxLength: 12,
                    })
                    .map((parts) => `iqn.2024-01.com.example:${parts.join("")}`),
                100,
                10,
            );
            // In every spelling that is let through: shortened or not, upper or lower case, as a network.
            const addresses = sample(
                fc.oneof(
                    fc.ipV4(),
                    fc.ipV6(),
                    fc.ipV6().map((address) => address.toUpperCase()),
                    fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 32 })).map((parts) => parts.join("/")),
                    fc.tuple(fc.ipV6(), fc.integer({ min: 1, max: 128 })).map((parts) => parts.join("/")),
                ),
                600,
                11,
            );
            // Among hostile ones, so that it is the check that lets these through.
            const tried = [...addresses, ...sample(wellFormed, 600, 12)];
            const admitted = tried.filter(
                (address) =>
                    tgtTarget.check(tgt.ref, { ...tgt.want("x"), initiators: [], addresses: [address] })
                        .length === 0,
            );
            expect(admitted.length).toBeGreaterThanOrEqual(200);
            const portals = sample(
                fc
                    .tuple(fc.integer({ min: 1, max: 254 }), fc.integer({ min: 1, max: 254 }))
                    .map(([c, d]) => `127.77.${String(c)}.${String(d)}:${String(tgt.port)}`),
                100,
                13,
            );
            const bystander = tgt.want("bystander");
            tgt.ensure(bystander);
            const theirs = JSON.stringify(tgt.observe().exports.get("bystander")?.extra);
            const configured = tgt.ref;
            for (const [i, prefix] of prefixes.entries()) {
                const portal = portals[i] ?? "";
                tgt.ref = {
                    ...configured,
                    portals: [...configured.portals, portal],
                    options: { ...configured.options, prefix },
                };
                const want = tgt.want(`x${String(i)}`, {
                    initiators: [],
                    addresses: admitted.filter((_, k) => k % prefixes.length === i),
                    portals: [portal],
                });
                expect(tgtTarget.check(tgt.ref, want)).toEqual([]);
                tgt.ensure(want);
                const found = tgt.observe().exports.get(want.name);
                expect(found?.differences).toEqual([]);
                expect(found?.targetName.startsWith(prefix)).toBe(true);
                if (i % 10 === 0)
                    expect(JSON.stringify(tgt.observe().exports.get("bystander")?.extra)).toBe(theirs);
                tgt.remove(want);
                await new Promise((resolve) => setImmediate(resolve));
            }
            count("addresses", admitted.length);
            count("portals", portals.length);
            count("prefix", prefixes.length);
            expect([...tgt.observe().exports.keys()]).toEqual(["bystander"]);
            pwned.expectNone();
        } finally {
            await tgt.stop();
        }
    });
});

test("hundreds of values of each argument were in scripts that ran", () => {
    expect(Object.entries(executed).filter(([, number]) => number < 100)).toEqual([]);
    expect(Object.values(executed).reduce((sum, number) => sum + number, 0)).toBeGreaterThan(4500);
});

/** Every path of a pool with what it holds. */
function fingerprint(pool: string): string[] {
    return readdirSync(pool, { recursive: true, withFileTypes: true }).map((entry) => {
        const path = join(entry.parentPath, entry.name);
        const shown = path.slice(pool.length + 1);
        if (entry.isSymbolicLink())
            return `${shown}`.concat(existsSync(path) ? "" : ` ${readlinkSync(path)}`);
        return entry.isFile() ? `${shown} ${readFileSync(path).toString("hex").slice(0, 64)}` : shown;
    });
}
