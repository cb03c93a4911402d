import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BlockhostError } from "../../provider/errors";
import { Hosts } from "../../provider/host/hosts";
import { decodeMark, encodeMark } from "../../provider/host/mark";
import { nameProblem, parseId } from "../../provider/names";
import { lifecycles } from "../../provider/resources";
import type { Context } from "../../provider/resources/types";
import { Secret, quote, sh } from "../../provider/sh";
import { parseSize } from "../../provider/size";
import type { Transport } from "../../provider/transport/types";
import { removeDirectory, temporaryDirectory } from "../../tools/lifetime.mjs";
import { Pwned, seed, text as hostile } from "../support/hostile";

/**
 * Arguments that try to become commands: through the one quoting function and through every argument's check. Those that
 * are accepted go through scripts that real shells run in `hostileScripts.test.ts`.
 */

let directory: string;
let pwned: Pwned;

beforeAll(() => {
    directory = temporaryDirectory("hostile");
    pwned = new Pwned(directory);
});

afterAll(() => {
    pwned.restore();
    pwned.expectNone();
    removeDirectory(directory);
});

const wordable = hostile.filter((text) => !text.includes("\0"));

/** Runs a script as the host would. */
function shell(script: string): Buffer {
    const run = spawnSync("sh", ["-s"], { input: script, cwd: directory, maxBuffer: 1 << 30 });
    expect(run.stderr.toString()).toBe("");
    expect(run.status).toBe(0);
    pwned.expectNone();
    return run.stdout;
}

describe("quoting", () => {
    test("every word arrives as it was, and nothing in it runs", () => {
        fc.assert(
            fc.property(fc.array(wordable, { minLength: 250, maxLength: 250 }), (words) => {
                // As one list, one by one, nested in a word that is evaluated, and in an assignment.
                const script = sh`printf '%s\\0' ${words}
`.text;
                const single = words.map((word) => sh`v=${word}; printf '%s\\0' "$v"`.text).join("\n");
                const nested = words
                    .map((word) => `eval ${quote(sh`printf '%s\\0' ${word}`.text)}`)
                    .join("\n");
                const expected = Buffer.concat(words.map((word) => Buffer.from(`${word}\0`)));
                for (const text of [script, single, nested]) expect(shell(text).equals(expected)).toBe(true);
            }),
            { numRuns: 20, seed },
        );
    });

    test("a NUL byte is refused", () => {
        expect(() => quote("a\0b")).toThrow(TypeError);
    });

    test("a secret shows nowhere", () => {
        fc.assert(
            fc.property(
                wordable.filter((text) => text.length > 6),
                (text) => {
                    const script = sh`login ${new Secret(text)}`;
                    expect(script.display).toBe("login ***");
                    expect(JSON.stringify({ text: new Secret(text) })).toBe('{"text":"***"}');
                },
            ),
            { numRuns: 500, seed },
        );
    });
});

describe("readers", () => {
    test("names: never throws, and accepts the grammar only", () => {
        fc.assert(
            fc.property(hostile, (text) => {
                const problem = nameProblem(text);
                if (problem === undefined)
                    expect(text).toMatch(/^(?!.*\.safety$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/);
                const parsed = parseId(text);
                if (parsed !== undefined) expect(text).toMatch(/^[\w.-]+\/[\w.-]+\/[\w.-]+$/);
            }),
            { numRuns: 3000, seed },
        );
    });

    test("sizes: never throws, and accepts whole sectors only", () => {
        fc.assert(
            fc.property(fc.oneof(hostile, fc.anything(), fc.double()), (value) => {
                const { bytes, problem } = parseSize(value);
                expect((bytes === undefined) !== (problem === undefined)).toBe(true);
                if (bytes !== undefined) {
                    expect(bytes > 0 && bytes % 512 === 0 && Number.isSafeInteger(bytes)).toBe(true);
                }
            }),
            { numRuns: 3000, seed },
        );
    });

    test("owner marks hold any owner, in an alphabet that is safe everywhere", () => {
        fc.assert(
            fc.property(wordable, wordable, (stack, resource) => {
                const mark = {
                    kind: "volume" as const,
                    owner: { installation: "default", organization: "o", project: "p", stack, resource },
                    generation: "0123456789abcdef",
                    phase: "ready" as const,
                    extra: {},
                };
                let text: string;
                try {
                    text = encodeMark(mark);
                } catch (error) {
                    expect(error).toBeInstanceOf(BlockhostError);
                    return;
                }
                expect(text).toMatch(/^[A-Za-z0-9_.:&=/-]+$/);
                const whole = (value: string) => Buffer.from(value).toString();
                expect(decodeMark(text)?.owner).toEqual({
                    ...mark.owner,
                    stack: whole(stack),
                    resource: whole(resource),
                });
            }),
            { numRuns: 1500, seed },
        );
    });
});

/** What an argument is given, by kind: path in the inputs, and what may pass the check. */
const owner = { organization: "acme", project: "shop", stack: "prod", resource: "r" };
const volume = { host: "emb", pool: "fast", name: "v", size: "1MiB", owner };
const initiator = {
    iqn: "iqn.2024-01.com.example:db1",
    chap: { username: "db1", password: "Open-Sesame-1" },
};
const exported = {
    host: "emb",
    source: "emb/fast/v",
    protocol: "iscsi",
    name: "x",
    initiators: [initiator],
    owner,
};
type Inputs = Record<string, unknown>;
const mutualWith = (more: object) => ({
    ...exported,
    initiators: [{ ...initiator, mutualChap: { username: "san1", password: "Sesame-Opened", ...more } }],
});
const chapWith = (more: object) => ({
    ...exported,
    initiators: [{ ...initiator, chap: { ...initiator.chap, ...more } }],
});

/** A host given inline that is right but for what is changed. */
const inline = (more: object, options: object = {}) => ({
    ...volume,
    host: {
        name: "inl",
        address: "127.0.0.1",
        stateDirectory: "/var/lib/x",
        pools: { fast: { driver: "file", directory: "/srv/pool", ...options } },
        ...more,
    },
});
const inlineTarget = (more: object) =>
    inline({ targets: { iscsi: { helper: "tgt", portals: ["127.0.0.1:3260"], ...more } } });
const ownedBy = (field: string) => (value: string) => ({ ...volume, owner: { ...owner, [field]: value } });

const safeAddress = /^[0-9A-Fa-f:.[\]/]+$/;
const id = /^emb\/fast\/[\w.-]+$/;
const plainSize = /^[0-9.]+(B|[KMGTP]iB)?$/;
const targets: [string, string, (text: string) => Inputs, RegExp | undefined][] = [
    ["Volume", "name", (name) => ({ ...volume, name }), /^[\w.-]+$/],
    ["Volume", "pool", (pool) => ({ ...volume, pool }), /^fast$/],
    ["Volume", "host", (host) => ({ ...volume, host }), /^emb$/],
    ["Volume", "size", (size) => ({ ...volume, size }), plainSize],
    ["Volume", "source.snapshot", (snapshot) => ({ ...volume, source: { snapshot } }), id],
    ["Volume", "source.volume", (from) => ({ ...volume, source: { volume: from } }), id],
    ["Volume", "adopt", (adopt) => ({ ...volume, adopt }), undefined],
    ["Volume", "revertTo.snapshot", (snapshot) => ({ ...volume, revertTo: { snapshot, token: "1" } }), id],
    [
        "Volume",
        "revertTo.token",
        (token) => ({ ...volume, revertTo: { snapshot: "emb/fast/s", token } }),
        /^[\w.-]+$/,
    ],
    ["Volume", "wipe.method", (method) => ({ ...volume, wipe: { method } }), /^(none|zero|discard)$/],
    ["Volume", "wipe.limit", (limit) => ({ ...volume, wipe: { method: "zero", limit } }), plainSize],
    ["Volume", "wipe.ionice", (ionice) => ({ ...volume, wipe: { method: "zero", ionice } }), /^idle$/],
    ["Volume", "owner.organization", ownedBy("organization"), undefined],
    ["Volume", "owner.project", ownedBy("project"), undefined],
    ["Volume", "owner.stack", ownedBy("stack"), undefined],
    ["Volume", "owner.resource", ownedBy("resource"), undefined],
    ["Volume", "owner.parent", ownedBy("parent"), undefined],
    ["Volume", "host.name", (name) => inline({ name }), /^[\w.-]+$/],
    ["Volume", "host.hostKey", (hostKey) => inline({ hostKey }), /^SHA256:[A-Za-z0-9+/]{43}=?$/],
    ["Volume", "host.stateDirectory", (stateDirectory) => inline({ stateDirectory }), /^\/[^\0\n]*$/],
    ["Volume", "host.directory", (directory) => inline({}, { directory }), /^\/[^\0\n\r\t]*$/],
    ["Volume", "host.portals", (portal) => inlineTarget({ portals: [portal] }), safeAddress],
    ["Volume", "host.prefix", (prefix) => inlineTarget({ prefix }), /^iqn\.[\w.:-]+$/],
    ["Snapshot", "name", (name) => ({ host: "emb", name, volume: "emb/fast/v", owner }), /^[\w.-]+$/],
    ["Snapshot", "volume", (from) => ({ host: "emb", name: "s", volume: from, owner }), id],
    ["Export", "source", (source) => ({ ...exported, source }), /^[\w.-]+\/[\w.-]+\/[\w.-]+$/],
    ["Export", "name", (name) => ({ ...exported, name }), /^[\w.-]+$/],
    ["Export", "protocol", (protocol) => ({ ...exported, protocol }), /^(iscsi|nvme-tcp)$/],
    [
        "Export",
        "iqn",
        (iqn) => ({ ...exported, initiators: [{ ...initiator, iqn }] }),
        /^(iqn|eui|naa)\.[\w.:-]+$/,
    ],
    ["Export", "nqn", (nqn) => ({ ...exported, initiators: [{ nqn }] }), /^nqn\.[\w.:-]+$/],
    ["Export", "username", (username) => chapWith({ username }), /^[\w.:@-]+$/],
    ["Export", "password", (password) => chapWith({ password }), /^[\x21-\x7e]{12,}$/],
    ["Export", "mutual username", (username) => mutualWith({ username }), /^[\w.:@-]+$/],
    ["Export", "mutual password", (password) => mutualWith({ password }), /^[\x21-\x7e]{12,}$/],
    ["Export", "addresses", (address) => ({ ...exported, addresses: [address] }), safeAddress],
    ["Export", "portals", (portal) => ({ ...exported, portals: [portal] }), safeAddress],
];

describe("arguments", () => {
    let strings = 0;
    const unreachable: Transport = {
        name: "emb",
        counters: { connections: 0, shells: 0, runs: 0, bytesSent: 0, bytesReceived: 0 },
        run: () => Promise.reject(new BlockhostError("unreachable", "nobody is there")),
        close: () => Promise.resolve(),
    };
    /** A program of its own for every string: two resources of one program may not have one name. */
    const newHosts = () =>
        new Hosts(
            {
                emb: {
                    address: "127.0.0.1",
                    pools: { fast: { driver: "file", directory: "/nonexistent/pool" } },
                    targets: { iscsi: { helper: "tgt", portals: ["127.0.0.1:3260"] } },
                },
            },
            () => unreachable,
        );
    const newContext = (): Context => ({
        hosts: newHosts(),
        installation: "default",
        warn: () => undefined,
    });

    test.each(targets)("%s %s: check never throws, and lets through only what it should", async (...row) => {
        const [kind, argument, inputsWith, allowed] = row;
        let accepted = 0;
        let given = 0;
        await fc.assert(
            fc.asyncProperty(hostile, async (text) => {
                given++;
                const { failures } = await (lifecycles[kind]?.check(
                    newContext(),
                    undefined,
                    inputsWith(text),
                ) ?? Promise.reject(new Error(`no ${kind}`)));
                if (failures.length > 0) {
                    const said = JSON.stringify(failures);
                    // Neither a secret nor a terminal's control codes may come back in a reason.
                    if (argument.endsWith("password") && text.length > 6) expect(said).not.toContain(text);
                    return;
                }
                accepted++;
                if (allowed !== undefined) expect(text).toMatch(allowed);
            }),
            { numRuns: 400, seed },
        );
        if (allowed === undefined) expect(accepted).toBeGreaterThan(0);
        strings += given;
    });

    test("these were at least ten thousand", () => {
        expect(strings).toBeGreaterThanOrEqual(10_000);
    });
});
