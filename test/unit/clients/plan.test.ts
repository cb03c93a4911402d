import { describe, expect, test } from "vitest";
import {
    authLines,
    connectionProblems,
    keyLines,
    readConnection,
    sha256,
} from "../../../provider/clients/connection";
import {
    devicePath,
    differences,
    leadElsewhere,
    pathlessMap,
    sizeSeen,
} from "../../../provider/clients/faults";
import { explain } from "../../../provider/clients/explain";
import { parseClient } from "../../../provider/clients/parse";
import { attach, declare, type Detach, detach, refuseTwins } from "../../../provider/clients/plan";
import type {
    AttachmentWanted,
    ClientContext,
    ClientFacts,
    Multipath,
} from "../../../provider/clients/types";
import { encodeMark, type Mark } from "../../../provider/host/mark";
import { isEmpty, type Plan } from "../../../provider/host/plan";
import { deriveDhchapKey } from "../../../provider/targets/dhchap";
import type { ConnectionProperties } from "../../../provider/targets/types";

const TARGET = "iqn.2010-10.org.blockhost:pg:8043fcdb";
const NQN = "nqn.2010-10.org.blockhost:pg:8043fcdb";
const CLIENT = "iqn.2024-01.com.example:db1";
const UUID = "0e4b1f9a-1111-4222-8333-444455556666";
const mark: Mark = {
    kind: "attachment",
    owner: { installation: "default", organization: "acme", project: "shop", stack: "prod", resource: "pg" },
    generation: "0123456789abcdef",
    phase: "ready",
    extra: {},
};
const PASSWORD = "Open-'Sesame'-123";
const ISCSI: ConnectionProperties = {
    driver_volume_type: "iscsi",
    data: {
        target_iqn: TARGET,
        target_portal: "10.0.0.5:3260",
        target_portals: ["10.0.0.5:3260", "[fd00::5]:3260"],
        target_lun: 0,
        auth_username: "db1",
        auth_password: PASSWORD,
        auth_username_in: "san",
        auth_password_in: "I-am-the-target",
        serial: "8043fcdb66447f59",
    },
};
const KEY = deriveDhchapKey("a secret of more than thirty-two bytes", "host");
const NVME: ConnectionProperties = {
    driver_volume_type: "nvmeof",
    data: {
        target_nqn: NQN,
        portals: [["10.0.0.5", "4420", "tcp"]],
        ns_id: 1,
        vol_uuid: UUID,
        dhchap_key: KEY,
    },
};
const withData = (
    of: ConnectionProperties,
    data: Readonly<Record<string, unknown>>,
): ConnectionProperties => ({
    ...of,
    data: { ...of.data, ...data },
});
const SECRETS = [PASSWORD, "I-am-the-target", KEY];

function want(
    connection: ConnectionProperties,
    multipath: Multipath = "prefer",
    sizeBytes?: number,
): AttachmentWanted {
    return {
        name: "pg",
        mark,
        connection: readConnection(connection),
        multipath,
        ...(sizeBytes === undefined ? {} : { sizeBytes }),
    };
}

const BARE = [
    `iqn ${CLIENT}`,
    "nqn nqn.2014-08.org.nvmexpress:uuid:1",
    "hostid 1",
    "native Y",
    "unit installed",
];

const TOOLS = ["iscsiadm", "udevadm", "blockdev", "multipath"];

function context(lines: readonly string[], tools = TOOLS): ClientContext {
    return {
        facts: parseClient(lines.join("\n")),
        stateDirectory: "/var/lib/blockhost",
        tools: new Set(tools),
        reserved: new Set(),
    };
}

/** The client's lines where all is as wanted. */
function attached(wanted: AttachmentWanted, before: readonly string[] = BARE): string[] {
    const { declared, auth } = declare(parseClient(before.join("\n")), wanted, undefined);
    const header = [
        "attachment pg",
        `#bh mark ${encodeMark(wanted.mark)}`,
        "#bh applied 1",
        "#bh size 0",
        `#bh target ${declared.target}`,
        "#bh accounts ",
        `#bh declared ${JSON.stringify(declared)}`,
        `#bh secrets ${JSON.stringify({ auth })}`,
        "end",
    ];
    if (declared.protocol === "nvme-tcp")
        return [
            ...before,
            `controller nvme0 live 10.0.0.5 4420 ${auth} ${NQN}`,
            `namespace nvme0n1 1 131072 ${UUID} uuid.${UUID} ${NQN}`,
            ...header,
        ];
    const portals =
        declared.paths === "all"
            ? [
                  ["10.0.0.5", 1],
                  ["fd00::5", 2],
              ]
            : [["10.0.0.5", 1]];
    return [
        ...before,
        ...portals.flatMap(([address, n]) => [
            `session ${String(n)} LOGGED_IN ${String(address)} 3260 ${TARGET}`,
            `disk ${String(n)} 0 sd${String(n)} 131072 naa.60014058043fcdb66447f59000000000`,
            `serial sd${String(n)} 8043fcdb66447f59`,
            ...(declared.paths === "all"
                ? [`map sd${String(n)} dm-3 131072 mpath-360014058043fcdb66447f59000000000`]
                : []),
        ]),
        ...header,
        ...portals.map(([address]) => `record ${TARGET} ${String(address)},3260 automatic ${auth}`),
    ];
}

/** Detaching as it is without anything allowed. */
const GENTLY: Detach = {
    name: "pg",
    mark,
    devicePath: "",
    inUse: false,
    force: false,
    ignoreErrors: false,
};
const labels = (plan: Plan) => plan.steps.map(({ label }) => label);
const one = (facts: ClientFacts) => {
    const found = facts.attachments.get("pg");
    if (found === undefined) throw new Error("there is no attachment");
    return found;
};

describe("planning", () => {
    test.each([
        ["iSCSI", want(ISCSI), BARE],
        ["iSCSI over several paths", want(ISCSI), [...BARE, "multipathd"]],
        ["NVMe", want(NVME), BARE],
    ])("%s: nothing, all, and nothing again", (_, wanted, before) => {
        const plan = attach(context(before), wanted);
        expect(labels(plan)).toEqual([
            "see that attachment pg is as it was observed",
            "write the boot file of attachment pg",
            expect.stringMatching(/^log in to /),
            "wait for the device",
            "note that it is attached",
        ]);
        const now = context(attached(wanted, before));
        expect(differences(now.facts, one(now.facts))).toEqual([]);
        expect(isEmpty(attach(now, wanted))).toBe(true);
        expect(labels(detach(now, GENTLY))).toEqual([
            "see that attachment pg is as it was observed",
            "see that nobody uses the device",
            "write out what is not written yet",
            "see that nobody has come to use the device",
            expect.stringMatching(/^remove the device and log out from /),
            "remove the boot file of attachment pg",
        ]);
    });

    describe("NVMe keys", () => {
        const C = deriveDhchapKey("a secret of more than thirty-two bytes", "controller");
        const OTHER = deriveDhchapKey("another secret of thirty-two bytes", "host");
        const { dhchap_key: _, ...open } = NVME.data;
        const keyed = (data: Readonly<Record<string, unknown>>, more: Partial<AttachmentWanted> = {}) => ({
            ...want({ ...NVME, data: { ...open, ...data } }),
            ...more,
        });
        const alone = (lines: readonly string[]) => lines.filter((line) => !line.startsWith("native "));
        const CUTTING = [
            "see that attachment pg is as it was observed",
            "write the boot file of attachment pg",
            "see that nobody uses the device",
            "write out what is not written yet",
            "see that nobody has come to use the device",
            "disconnect 10.0.0.5:4420: the client's kernel does not join NVMe paths, so other keys come with another connection",
            `log in to ${NQN}`,
            "wait for the device",
            "note that it is attached",
        ];
        const [none, host, both] = [{}, { dhchap_key: KEY }, { dhchap_key: KEY, dhchap_ctrl_key: C }];

        describe.each([
            ["added", none, host],
            ["taken away", host, none],
            ["made bidirectional", host, both],
            ["made one-way", both, host],
            ["exchanged for others", host, { dhchap_key: OTHER }],
        ])("%s", (_, before, after) => {
            test("by another controller, which the login makes before it takes the former away", () => {
                const now = context(attached(keyed(before)));
                expect(labels(attach(now, keyed(after)))).toEqual(
                    CUTTING.filter((label) => !/nobody|not written|disconnect/.test(label)),
                );
            });

            test("without native multipath anew, refused while the device is in use", () => {
                const now = context(alone(attached(keyed(before))));
                expect(labels(attach(now, keyed(after)))).toEqual(CUTTING);
                const allowed = attach(now, keyed(after, { inUse: true }));
                expect(labels(allowed)).toEqual(CUTTING.filter((label) => !label.includes("nobody")));
                const down = context(
                    alone(attached(keyed(before))).map((line) =>
                        line.replace("nvme0 live", "nvme0 connecting"),
                    ),
                );
                expect(labels(attach(down, keyed(after)))).not.toContain("write out what is not written yet");
            });
        });

        test("as declared: nothing", () => {
            expect(isEmpty(attach(context(attached(keyed(both))), keyed(both)))).toBe(true);
        });
    });

    test("other portals altogether take the device away: refused while it is in use; with one that stays they do not", () => {
        const now = context(attached(want(ISCSI)));
        const at = (...portals: string[]) =>
            want({ ...ISCSI, data: { ...ISCSI.data, target_portals: portals } });
        expect(labels(attach(now, at("10.0.0.9:3260")))).toContain("see that nobody uses the device");
        expect(labels(attach(now, at("10.0.0.9:3260", "10.0.0.5:3260")))).not.toContain(
            "see that nobody uses the device",
        );
    });

    describe("iSCSI credentials, which a session never learns", () => {
        const OTHER = "Another-Word-12";
        const rotated = withData(ISCSI, { auth_password: OTHER });
        /** Sessions that log in again with what is declared, or with what was. */
        const running = (of: AttachmentWanted, before = BARE, down: readonly number[] = []) => {
            const lines = attached(of, before);
            const { auth } = declare(parseClient(lines.join("\n")), of, undefined);
            const sessions = lines.flatMap((line) => /^session (\d+)/.exec(line)?.[1] ?? []);
            return [
                ...lines.map((line) =>
                    down.some((n) => line.startsWith(`session ${String(n)} `))
                        ? line.replace("LOGGED_IN", "FAILED")
                        : line,
                ),
                ...sessions.map((n) => `auth ${n} ${auth}`),
            ];
        };
        const several = [...BARE, "multipathd"];
        const END = "note that it is attached";

        test("as declared: nothing", () => {
            expect(isEmpty(attach(context(running(want(ISCSI))), want(ISCSI)))).toBe(true);
        });

        test("with one path: on file at once, then another session, refused while the device is in use", () => {
            const now = context(running(want(ISCSI)));
            const steps = labels(attach(now, want(rotated)));
            expect(steps).toEqual([
                "see that attachment pg is as it was observed",
                "write the boot file of attachment pg",
                "put the credentials on file",
                "see that nobody uses the device",
                "write out what is not written yet",
                "see that nobody has come to use the device",
                expect.stringMatching(/^disconnect 10\.0\.0\.5:3260: a session logs in again with/),
                `log in to ${TARGET}`,
                "wait for the device",
                END,
            ]);
            expect(labels(attach(now, { ...want(rotated), inUse: true }))).toEqual(
                steps.filter((label) => !label.includes("nobody")),
            );
        });

        const ways = (lines: readonly string[], after: ConnectionProperties) =>
            labels(attach(context(lines), want(after, "require"))).flatMap(
                (label) =>
                    /^(give up|disconnect \S+?(?:, one|: )|log in|see that nobody)/.exec(label)?.[1] ?? [],
            );
        const one1 = "disconnect 10.0.0.5:3260, one";
        const two2 = "disconnect [fd00::5]:3260, one";

        test("over several paths: one after the other, so that nobody notices", () => {
            const lines = running(want(ISCSI, "require"), several);
            expect(ways(lines, rotated)).toEqual(["log in", one1, "log in", two2, "log in"]);
        });

        test("what is down goes first, and comes back before another goes", () => {
            const lines = running(want(ISCSI, "require"), several, [2]);
            expect(ways(lines, rotated)).toEqual(["disconnect [fd00::5]:3260: ", "log in", one1, "log in"]);
        });

        test("where one has gone in a run that was cut short, it comes back before the other goes", () => {
            const lines = running(want(ISCSI, "require"), several);
            const gone = lines.filter((line) => !/^(session|auth|disk|map) (2|sd2)|^serial sd2/.test(line));
            expect(ways(gone, rotated)).toEqual(["log in", one1, "log in"]);
        });

        test("with another portal, too, that comes before the last one with the former goes", () => {
            const lines = running(want(ISCSI, "require"), several);
            const moved = withData(rotated, { target_portals: ["10.0.0.5:3260", "10.0.0.9:3260"] });
            expect(ways(lines, moved)).toEqual(["give up", "log in", one1, "log in"]);
        });

        test("that has no device is no path to go over to", () => {
            const lines = running(want(ISCSI, "require"), several);
            const bare = lines.filter((line) => !/^(disk|map) (2|sd2)|^serial sd2/.test(line));
            const only = withData(ISCSI, { target_portals: ["[fd00::5]:3260"] });
            expect(ways(bare, only)).toContain("see that nobody");
            expect(ways(lines, only)).toEqual(["give up", "log in"]);
        });

        test("the node records of portals that stay are kept, and no others", () => {
            const kept = (lines: readonly string[], after: ConnectionProperties) =>
                attach(context(lines), want(after, "require")).steps.flatMap(
                    ({ script }) => /^only=.* recorded='(.*)'$/m.exec(script.text)?.[1]?.trim() ?? [],
                );
            const lines = running(want(ISCSI, "require"), several);
            expect(kept(lines, rotated)).toEqual(["10.0.0.5:3260", "[fd00::5]:3260"]);
            expect(kept(running(want(ISCSI, "require"), several, [2]), rotated)).toEqual([
                "[fd00::5]:3260",
                "10.0.0.5:3260",
            ]);
            const moved = withData(rotated, { target_portals: ["10.0.0.5:3260", "10.0.0.9:3260"] });
            expect(kept(lines, moved)).toEqual(["", "10.0.0.5:3260"]);
        });

        test("with the other portal given up in the same run, as with one path", () => {
            const fewer = withData(rotated, { target_portals: ["10.0.0.5:3260"] });
            expect(ways(running(want(ISCSI, "require"), several), fewer)).toContain("see that nobody");
        });

        test("that are on file already, and not with the session, are drift that is healed", () => {
            const lines = running(want(ISCSI)).map((line) => line.replace(/^(auth 1) .*/, "$1 00"));
            const now = context(lines);
            expect(differences(now.facts, one(now.facts))).toEqual([
                "credentials: the session with 10.0.0.5:3260 would log in again with others",
            ]);
            expect(labels(attach(now, want(ISCSI)))).toContain("see that nobody uses the device");
        });
    });

    test("a node record that a run cut short has left of a portal given up goes, and nothing else", () => {
        const lines = attached(want(ISCSI));
        const now = context([...lines, `record ${TARGET} 10.0.0.9,3260 automatic 00`]);
        expect(differences(now.facts, one(now.facts))).toEqual([
            "node record of 10.0.0.9:3260: is not declared",
        ]);
        expect(labels(attach(now, want(ISCSI)))).toEqual([
            "see that attachment pg is as it was observed",
            "write the boot file of attachment pg",
            "give up the paths 10.0.0.9:3260",
            `log in to ${TARGET}`,
            "wait for the device",
            "note that it is attached",
        ]);
    });

    test("of two sessions that nobody joins, one goes, and only while nobody uses the device", () => {
        const lines = [
            ...attached(want(ISCSI)),
            `session 2 LOGGED_IN fd00::5 3260 ${TARGET}`,
            "disk 2 0 sdb 131072 naa.60014058043fcdb66447f59000000000",
        ];
        const { auth } = one(context(lines).facts);
        const now = context([...lines, `record ${TARGET} fd00::5,3260 automatic ${auth}`]);
        expect(differences(now.facts, one(now.facts))).toEqual(["path [fd00::5]:3260: one too many"]);
        const steps = labels(attach(now, want(ISCSI)));
        expect(steps).toContain("give up the paths [fd00::5]:3260");
        expect(steps).toContain("see that nobody uses the device");
    });

    test("the only path that is up is not given up for one that is down while the device is in use", () => {
        const wanted = want(ISCSI, "require");
        const lines = attached(wanted, [...BARE, "multipathd"]);
        const at = (...portals: string[]) => want(withData(ISCSI, { target_portals: portals }), "require");
        const steps = (down: string) =>
            labels(
                attach(
                    context(lines.map((line) => line.replace(down, down.replace("LOGGED_IN", "FAILED")))),
                    at("[fd00::5]:3260"),
                ),
            );
        expect(steps("session 2 LOGGED_IN")).toContain("see that nobody uses the device");
        expect(steps("session 1 LOGGED_IN")).not.toContain("see that nobody uses the device");
    });

    test("a portal more is a path more where the kernel joins them; a device that nobody joins stays as it is", () => {
        const more = {
            iscsi: withData(ISCSI, { target_portals: ["10.0.0.5:3260", "10.0.0.6:3260"] }),
            nvme: withData(NVME, {
                portals: [...(NVME.data["portals"] as unknown[]), ["10.0.0.6", "4420", "tcp"]],
            }),
        };
        const alone = withData(ISCSI, { target_portals: ["10.0.0.5:3260"] });
        const paths = (before: ConnectionProperties, after: ConnectionProperties) => {
            const { facts } = context(attached(want(before), [...BARE, "multipathd"]));
            return declare(facts, want(after), one(facts)).declared.paths;
        };
        expect(paths(NVME, more.nvme)).toBe("all");
        expect(paths(alone, more.iscsi)).toBe("one");
    });

    test("a portal that comes back is a path again where what is there is joined, and multipathd runs", () => {
        const alone = withData(ISCSI, { target_portals: ["10.0.0.5:3260"] });
        const fewer = attached(want(alone), [...BARE, "multipathd"]);
        const joined = [...fewer, "map sd1 dm-3 131072 mpath-360014058043fcdb66447f59000000000"];
        const paths = (lines: readonly string[], multipath: Multipath = "prefer") => {
            const { facts } = context(lines);
            return declare(facts, want(ISCSI, multipath), one(facts)).declared.paths;
        };
        expect(one(context(joined).facts).declared.paths).toBe("one");
        expect(paths(joined)).toBe("all");
        expect(labels(attach(context(joined), want(ISCSI)))).not.toContain("see that nobody uses the device");
        expect(paths(fewer)).toBe("one");
        expect(paths(joined, "none")).toBe("one");
        expect(paths(joined.filter((line) => line !== "multipathd"))).toBe("one");
    });

    test("a controller that somebody has connected under another name is left out", () => {
        const lines = [...attached(want(NVME)), `controller nvme1 live 10.0.0.9 4420 by:nqn.other ${NQN}`];
        const now = context(lines);
        expect(differences(now.facts, one(now.facts))).toEqual([]);
        expect(isEmpty(attach(now, want(NVME)))).toBe(true);
    });

    test("what is shown of steps has no secret in it", () => {
        for (const wanted of [want(ISCSI), want(NVME)]) {
            const shown = attach(context(BARE), wanted)
                .steps.map(({ script }) => script.display)
                .join("\n");
            for (const secret of SECRETS) expect(shown).not.toContain(secret);
        }
    });

    test.each<[string, (lines: string[]) => string[], string]>([
        [
            "a session that is gone",
            (l) => l.filter((x) => !/^(session|disk|serial|map) 2|sd2/.test(x)),
            "path [fd00::5]:3260: missing",
        ],
        [
            "a session that is down",
            (l) => l.map((x) => x.replace("1 LOGGED_IN", "1 FAILED")),
            "path 10.0.0.5:3260: down",
        ],
        [
            "all sessions gone",
            (l) => l.filter((x) => !/^(session|disk|serial|map)/.test(x)),
            "missing: no session",
        ],
        [
            "a node record that is gone",
            (l) => l.filter((x) => !/^record .* fd00/.test(x)),
            "node record of [fd00::5]:3260: missing",
        ],
        [
            "a node record that waits",
            (l) => l.map((x) => x.replace("10.0.0.5,3260 automatic", "10.0.0.5,3260 manual")),
            "node record of 10.0.0.5:3260: not logged in to at boot",
        ],
        [
            "other credentials",
            (l) => l.map((x) => x.replace(/^(record .* 10.0.0.5,3260 automatic) .*/, "$1 00")),
            "credentials: not those declared at 10.0.0.5:3260",
        ],
        [
            "another device",
            (l) => l.map((x) => x.replace("serial sd1 8043fcdb66447f59", "serial sd1 other")),
            "device: sd1 has the serial number other",
        ],
        [
            "paths to two devices",
            (l) => l.map((x) => x.replace("sd2 131072 naa.6", "sd2 131072 naa.5")),
            "device: the paths lead to different ones",
        ],
        [
            "a path without multipath",
            (l) => l.filter((x) => !x.startsWith("map sd2")),
            "multipath: a path is not in use",
        ],
        ["cut short", (l) => l.map((x) => x.replace("applied 1", "applied 0")), "half-made"],
        [
            "one path too many",
            (l) => [...l, `session 3 LOGGED_IN 10.0.0.6 3260 ${TARGET}`],
            "path 10.0.0.6:3260: is not declared",
        ],
    ])("%s is told, and healed", (_, alter, said) => {
        const wanted = want(ISCSI, "require");
        const now = context(alter(attached(wanted, [...BARE, "multipathd"])));
        expect(differences(now.facts, one(now.facts))).toContain(said);
        expect(labels(attach(now, wanted)).at(-1)).toBe("note that it is attached");
    });

    test.each<[string, (lines: string[]) => string[], string]>([
        [
            "down",
            (l) => l.map((x) => x.replace("nvme0 live", "nvme0 connecting")),
            "path 10.0.0.5:4420: down",
        ],
        [
            "other keys",
            (l) => l.map((x) => x.replace(/^(controller \S+ \S+ \S+ \S+) \S+/, "$1 00")),
            "credentials: not those declared at 10.0.0.5:4420",
        ],
        [
            "another namespace",
            (l) => l.map((x) => x.replace(`131072 ${UUID}`, "131072 other")),
            "device: nvme0n1 is namespace other",
        ],
        [
            "twice",
            (l) =>
                l.flatMap((x) =>
                    [x, x.replace("controller nvme0", "controller nvme1")].slice(
                        0,
                        x.startsWith("controller") ? 2 : 1,
                    ),
                ),
            "path 10.0.0.5:4420: connected twice",
        ],
        ["no namespace", (l) => l.filter((x) => !x.startsWith("namespace")), "device: missing"],
    ])("NVMe: %s is told, and healed", (_, alter, said) => {
        const now = context(alter(attached(want(NVME))));
        expect(differences(now.facts, one(now.facts))).toContain(said);
        expect(isEmpty(attach(now, want(NVME)))).toBe(false);
    });

    test("a device that is smaller than declared is read again, by a boot file that knows the size", () => {
        const grown = want(ISCSI, "prefer", 128 * 1024 * 1024);
        const now = context(attached(want(ISCSI)));
        expect(sizeSeen(now.facts, one(now.facts).declared)).toBe(64 * 1024 * 1024);
        const steps = labels(attach(now, grown));
        expect(steps).toContain("write the boot file of attachment pg");
        expect(steps).toContain("wait for the device");
        const same = want(ISCSI, "prefer", 64 * 1024 * 1024);
        expect(isEmpty(attach(context(attached(same)), same))).toBe(true);
    });

    test("what `allow`, `force` and `ignoreErrors` change of detaching, each by itself", () => {
        const now = context(attached(want(ISCSI)));
        const plan = (more: object) => detach(now, { ...GENTLY, ...more });
        const plain = plan({});
        const scripts = ({ steps }: Plan) => new Map(steps.map(({ label, script }) => [label, script.text]));
        const changed = (one: Plan) =>
            [...scripts(plain)]
                .filter(([label, text]) => scripts(one).get(label) !== text)
                .map(([label]) => label);
        const asked = ["see that nobody uses the device", "see that nobody has come to use the device"];
        expect(changed(plan({ inUse: true }))).toEqual(asked);
        expect(labels(plan({ inUse: true })).filter((label) => asked.includes(label))).toEqual([]);
        // What was to write, and hangs, would be who has it.
        expect(changed(plan({ force: true }))).toEqual(["write out what is not written yet", asked[1]]);
        expect(labels(plan({ force: true }))).toContain(asked[0]);
        expect(changed(plan({ ignoreErrors: true }))).toEqual([
            expect.stringMatching(/^remove the device and/),
        ]);
    });

    test("detaching asks who uses the device, and writes it out, also where nothing was seen of it", () => {
        const lines = attached(want(ISCSI)).filter((line) => !/^(?:session|disk|serial) /.test(line));
        const steps = labels(detach(context(lines), GENTLY));
        expect(steps).toContain("see that nobody uses the device");
        expect(steps).toContain("write out what is not written yet");
    });

    test("detaching takes the node records of portals that a change cut short has left, too", () => {
        const { auth } = declare(parseClient(BARE.join("\n")), want(ISCSI), undefined);
        const left = [
            `session 7 FAILED 10.0.0.8 3260 ${TARGET}`,
            `record ${TARGET} 10.0.0.8,3260 automatic ${auth}`,
            `record ${TARGET} 10.0.0.9,3260 automatic ${auth}`,
        ];
        const { steps } = detach(context([...attached(want(ISCSI)), ...left]), GENTLY);
        const away = steps.find(({ label }) => label.startsWith("remove the device"))?.script.text;
        expect(away).toContain("portals='10.0.0.5:3260 [fd00::5]:3260 10.0.0.8:3260 10.0.0.9:3260'");
    });

    describe("a multipath device without any path", () => {
        const wwid = "360014058043fcdb66447f59000000000";
        const path = `/dev/disk/by-id/dm-uuid-mpath-${wwid}`;
        const lines = [
            ...attached(want(ISCSI), [...BARE, "multipathd"]).filter(
                (line) => !/^(?:session|disk|serial|map) /.test(line),
            ),
            "pathless mpath-3600140500000000000000000000000000",
            `pathless mpath-${wwid}`,
        ];
        const texts = (devicePath: string) =>
            detach(context(lines), { ...GENTLY, devicePath }).steps.map(({ script }) => script.text);

        test("is known by where it was, and asked about before it goes", () => {
            expect(pathlessMap(context(lines).facts, path)).toBe(wwid);
            expect(texts(path).filter((text) => text.includes(`pathless=${wwid}`))).toHaveLength(4);
        });

        test.each(["", "/dev/disk/by-id/wwn-0x60014058043fcdb66447f59000000000", `${path}0`])(
            "is not concluded from %j",
            (other) => {
                expect(pathlessMap(context(lines).facts, other)).toBeUndefined();
                expect(texts(other).filter((text) => /pathless=3/.test(text))).toEqual([]);
            },
        );
    });

    test("only a first attempt fails with a portal that does not answer before the rest is done", () => {
        const login = (lines: readonly string[], sizeBytes: number) =>
            attach(context(lines), want(ISCSI, "prefer", sizeBytes)).steps.find(({ label }) =>
                label.startsWith("log in"),
            )?.script.text;
        expect(login(BARE, 0)).toContain("attachments/pg login");
        expect(login(attached(want(ISCSI)), 128 * 1024 * 1024)).toMatch(/attachments\/pg again$/);
    });

    test.each([
        ["of another protocol", want(NVME)],
        ["of another target", want(withData(ISCSI, { target_iqn: `${TARGET}2` }))],
        ["of another unit", want(withData(ISCSI, { target_lun: 1 }))],
    ])("what a creation cut short has left %s is detached first, and not while it is in use", (_, wanted) => {
        const now = context(attached(want(ISCSI)));
        const texts = ({ steps }: Plan) => steps.map(({ script }) => script.text);
        const first = attach(now, { ...wanted, inUse: true });
        expect(labels(first)).toContain("see that nobody uses the device");
        expect(texts(first)).toEqual(texts(detach(now, GENTLY)));
        // What the next round finds.
        expect(labels(attach(context(BARE), wanted)).at(-1)).toBe("note that it is attached");
    });

    test("a client that has another NVMe name is told so while it is connected under the former", () => {
        const former = "nqn.2014-08.org.nvmexpress:uuid:1";
        const renamed = attached(want(NVME)).map((line) =>
            line === `nqn ${former}`
                ? "nqn nqn.2014-08.org.nvmexpress:uuid:2"
                : line.replace(/^(controller .* 4420) \S+/, `$1 by:${former}`),
        );
        expect(() => attach(context(renamed), want(NVME))).toThrow(
            expect.objectContaining({
                code: "in-use",
                summary: `nvme0 is connected to ${NQN} as ${former}, which the client was called before: it is nqn.2014-08.org.nvmexpress:uuid:2 now`,
                details: expect.objectContaining({
                    hint: expect.stringContaining("of the package nvme-cli") as string,
                }) as object,
            }) as Error,
        );
        const apart = renamed.filter((line) => !line.startsWith("controller "));
        expect(isEmpty(attach(context(apart), want(NVME)))).toBe(false);
    });

    test("sessions that lead to other units only are not those of what was removed", () => {
        const { declared } = declare(parseClient(BARE.join("\n")), want(ISCSI), undefined);
        const session = `session 1 LOGGED_IN 10.0.0.5 3260 ${TARGET}`;
        const unit = (n: number) => `disk 1 ${String(n)} sd${String(n)} 131072 naa.${String(n)}`;
        const elsewhere = (...lines: string[]) => leadElsewhere(context(lines).facts, declared);
        expect(elsewhere(session, unit(3))).toBe(true);
        expect(elsewhere(session, unit(0), unit(3))).toBe(false);
        expect(elsewhere(session)).toBe(false);
    });

    test("multipathd that is just not running makes no other attachment of it", () => {
        const wanted = want(ISCSI);
        const now = context(
            attached(wanted, [...BARE, "multipathd"]).filter((line) => line !== "multipathd"),
        );
        expect(isEmpty(attach(now, wanted))).toBe(true);
    });

    test.each([
        ["iSCSI, one", want(ISCSI), BARE, "/dev/disk/by-id/wwn-0x60014058043fcdb66447f59000000000"],
        [
            "iSCSI, all",
            want(ISCSI),
            [...BARE, "multipathd"],
            "/dev/disk/by-id/dm-uuid-mpath-360014058043fcdb66447f59000000000",
        ],
        ["NVMe", want(NVME), BARE, `/dev/disk/by-id/nvme-uuid.${UUID}`],
    ])("device path: %s", (_, wanted, before, path) => {
        const { facts } = context(attached(wanted, before));
        expect(devicePath(facts, one(facts).declared)).toBe(path);
    });

    test("an initiator's own credentials are taken", () => {
        const own = { auth_username: "other", auth_password: "Open-Sesame-456" };
        const connection = { ...ISCSI, data: { ...ISCSI.data, auth_by_initiator: { [CLIENT]: own } } };
        expect(
            declare(parseClient(BARE.join("\n")), want(connection), undefined).credentials.chap?.username,
        ).toBe("other");
    });
});

describe("refusals", () => {
    const refuse = (code: string, what: () => unknown, hint = "") => {
        const details = expect.objectContaining({ hint: expect.stringContaining(hint) as string }) as object;
        expect(what).toThrow(expect.objectContaining({ code, details }) as Error);
    };
    const without = (fact: string) => BARE.filter((line) => !line.startsWith(`${fact} `));
    const HOST_FILES = "nvme gen-hostnqn > /etc/nvme/hostnqn";

    test.each([
        ["no initiator name", without("iqn"), want(ISCSI), "unsupported", "/etc/iscsi/initiatorname.iscsi"],
        [
            "an empty initiator name",
            ["iqn ", ...without("iqn")],
            want(ISCSI),
            "unsupported",
            "/etc/iscsi/initiatorname.iscsi",
        ],
        ["no host name", without("nqn"), want(NVME), "unsupported", HOST_FILES],
        ["no host ID", without("hostid"), want(NVME), "unsupported", HOST_FILES],
        [
            "multipathd asked for and not running",
            BARE,
            want(ISCSI, "require"),
            "unsupported",
            "systemctl enable --now multipathd",
        ],
        [
            "NVMe multipath asked for and absent",
            without("native"),
            want(NVME, "require"),
            "unsupported",
            "multipath=Y",
        ],
        [
            "somebody else's session",
            [...BARE, `session 1 LOGGED_IN 10.0.0.5 3260 ${TARGET}`],
            want(ISCSI),
            "not-ours",
            `iscsiadm -m node -T ${TARGET} --logout`,
        ],
        [
            "somebody else's controller",
            [...BARE, `controller nvme0 live 10.0.0.5 4420 - ${NQN}`],
            want(NVME),
            "not-ours",
            `nvme disconnect -n ${NQN}`,
        ],
        [
            "attached under another name",
            attached(want(ISCSI)),
            { ...want(ISCSI), name: "two" },
            "exists",
            "it belongs to",
        ],
        [
            "another unit of a target of ours",
            attached(want(ISCSI)),
            { ...want({ ...ISCSI, data: { ...ISCSI.data, target_lun: 1 } }), name: "two" },
            "unsupported",
            "under a target of its own",
        ],
        [
            "a boot file that is none",
            [...BARE, "attachment pg", "end"],
            want(ISCSI),
            "not-ours",
            "another `name`",
        ],
    ])("%s", (_, lines, wanted, code, hint) => {
        refuse(code, () => attach(context(lines), wanted), hint);
    });

    test.each([
        ["iscsi", "iscsi-iname"],
        ["nvme-tcp", "nvme gen-hostnqn"],
    ] as const)("a host of the same name, %s", (protocol, way) => {
        const { facts } = context(BARE);
        const others = [{ name: "db2", client: facts }];
        expect(() => {
            refuseTwins(facts, protocol, "db1", others);
        }).toThrow(
            expect.objectContaining({
                code: "unsupported",
                message: expect.stringContaining("db1 and db2") as string,
                details: expect.objectContaining({ hint: expect.stringContaining(way) as string }) as object,
            }) as Error,
        );
        const client = parseClient("iqn iqn.2024-01.com.example:db2\nnqn nqn.x");
        refuseTwins(facts, protocol, "db1", [{ name: "db2", client }]);
        refuseTwins(parseClient(""), protocol, "db1", [{ name: "db2", client: parseClient("") }]);
    });

    test.each([
        ["iscsiadm", "open-iscsi", want(ISCSI)],
        ["multipath", "multipath-tools", want(ISCSI, "require")],
        ["udevadm", "udev", want(NVME)],
        ["blockdev", "util-linux", want(NVME)],
    ])("without %s: the package is named, %s", (tool, from, wanted) => {
        const lacking = context(
            [...BARE, "multipathd"],
            TOOLS.filter((one) => one !== tool),
        );
        refuse("unsupported", () => attach(lacking, wanted), `apt-get install ${from}`);
    });

    test("all tools that it lacks are named at once, and their packages", () => {
        expect(() => attach(context(BARE, []), want(ISCSI, "require"))).toThrow(
            expect.objectContaining({
                summary: "the client lacks udevadm, blockdev, iscsiadm, multipath",
                details: {
                    hint: "install there: apt-get install udev util-linux open-iscsi multipath-tools",
                },
            }) as Error,
        );
    });

    test.each([
        ["name", ["nqn"], "no NVMe host name (/etc/nvme/hostnqn)"],
        ["ID", ["hostid"], "no NVMe host ID (/etc/nvme/hostid)"],
        [
            "name and ID",
            ["nqn", "hostid"],
            "no NVMe host name (/etc/nvme/hostnqn) and no NVMe host ID (/etc/nvme/hostid)",
        ],
    ])(
        "of NVMe the client has no %s: just that is told, and of a client over iSCSI nothing",
        (_, facts, what) => {
            const lines = BARE.filter((line) => !facts.some((fact) => line.startsWith(`${fact} `)));
            expect(() => attach(context(lines), want(NVME))).toThrow(
                expect.objectContaining({ code: "unsupported", summary: `the client has ${what}` }) as Error,
            );
            expect(isEmpty(attach(context(lines), want(ISCSI)))).toBe(false);
        },
    );

    test.each([
        ["another owner", { ...mark, owner: { ...mark.owner, resource: "two" } }],
        ["another generation", { ...mark, generation: "fedcba9876543210" }],
    ])("%s", (_, other) => {
        const now = context(attached(want(ISCSI)));
        refuse("not-ours", () => attach(now, { ...want(ISCSI), mark: other }));
        refuse("not-ours", () =>
            detach(now, { ...GENTLY, mark: other, inUse: true, force: true, ignoreErrors: true }),
        );
    });

    test.each<[string, ConnectionProperties, string]>([
        ["another transport", { driver_volume_type: "rbd" as "iscsi", data: {} }, "driver_volume_type"],
        [
            "no target",
            { driver_volume_type: "iscsi", data: { target_portal: "10.0.0.5:3260" } },
            "data.target_iqn",
        ],
        ["no name", { ...ISCSI, data: { ...ISCSI.data, target_iqn: "x" } }, "data.target_iqn"],
        ["no portal", { driver_volume_type: "iscsi", data: { target_iqn: TARGET } }, "data.target_portal"],
        [
            "no address",
            { ...ISCSI, data: { ...ISCSI.data, target_portals: ["san1"] } },
            "data.target_portals[0]",
        ],
        [
            "two targets",
            { ...ISCSI, data: { ...ISCSI.data, target_iqns: [TARGET, `${TARGET}2`] } },
            "data.target_iqns",
        ],
        ["no unit", { ...ISCSI, data: { ...ISCSI.data, target_lun: -1 } }, "data.target_lun"],
        [
            "RDMA",
            { ...NVME, data: { ...NVME.data, portals: [["10.0.0.5", "4420", "rdma"]] } },
            "data.portals[0]",
        ],
        ["a user and no password", withData(ISCSI, { auth_password: undefined }), "data.auth_password"],
        ["a password and no user", withData(ISCSI, { auth_username: undefined }), "data.auth_username"],
        [
            "a target's user and no password",
            withData(ISCSI, { auth_password_in: undefined }),
            "data.auth_password_in",
        ],
        [
            "a controller's key alone",
            withData(NVME, { dhchap_key: null, dhchap_ctrl_key: KEY }),
            "data.dhchap_key",
        ],
        [
            "half of a client's own credentials",
            withData(ISCSI, { auth_by_initiator: { [CLIENT]: { auth_username: "db1" }, other: null } }),
            `data.auth_by_initiator["${CLIENT}"].auth_password`,
        ],
    ])("a connection with %s", (_, connection, path) => {
        expect(connectionProblems(connection).map((problem) => problem.path)).toContain(path);
    });

    test("a target's proof alone is no credential, and all that is missing is named", () => {
        const { auth_username: _, auth_password: __, auth_password_in: ___, ...rest } = ISCSI.data;
        expect(connectionProblems({ ...ISCSI, data: rest })).toEqual([
            { path: "data.auth_password_in", reason: "is missing, beside auth_username_in" },
            { path: "data.auth_username", reason: "is missing, beside auth_username_in" },
        ]);
    });
});

test("what authentication comes to", () => {
    const { credentials } = readConnection(ISCSI);
    expect(authLines(credentials)).toBe(
        `node.session.auth.authmethod = CHAP\nnode.session.auth.username = db1\nnode.session.auth.password = ${PASSWORD}\nnode.session.auth.username_in = san\nnode.session.auth.password_in = I-am-the-target\n`,
    );
    expect(authLines({})).toBe("node.session.auth.authmethod = None\n");
    expect(keyLines({})).toBe("none\nnone\n");
    expect(sha256("")).toHaveLength(64);
});

test.each([
    ["auth: 10.0.0.5:3260 refuses me", "auth"],
    ["identity: /dev/sdb has the serial number a, not b", "not-found"],
    ["parameters: the client's kernel does not take those of 10.0.0.5:4420", "invalid"],
    ["initiator: there is no /etc/nvme/hostid", "unsupported"],
    ["iscsiadm: x\nunreachable: 10.0.0.5:3260 (open-iscsi: 8)", "unreachable"],
    ["in-use: /dev/sdb is mounted at /srv", "in-use"],
    ["flush: no path to the device is up", "in-use"],
    ["something else", undefined],
])("%s is explained as %s", (said, code) => {
    expect(explain(said)?.code).toBe(code);
});
