import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { body } from "../../../provider/clients/body";
import { authLines, sha256 } from "../../../provider/clients/connection";
import { observeClient } from "../../../provider/clients/observe";
import { parseClient } from "../../../provider/clients/parse";
import { Secret } from "../../../provider/sh";
import type { Credentials, Declared } from "../../../provider/clients/types";
import { ISCSI, Made, TARGET } from "./made";

/** Sessions of open-iscsi: what they log in with again, and the portals of one attachment. */

let made: Made;
beforeEach(() => {
    made = new Made();
});
afterEach(() => {
    made.remove();
});

const PASSWORD = "Open 'Sesame' %s \\n 123";
const chap = { username: "db1", password: new Secret(PASSWORD) };
const mutualChap = { username: "san", password: new Secret("I-am-the-target") };
const AT = "sys/class/iscsi_session/session1";

describe("what a session logs in with again", () => {
    const shows = (shown: Readonly<Record<string, string>>, attachments = true) => {
        made.session();
        for (const [name, text] of Object.entries(shown)) made.file(`${AT}/${name}`, `${text}\n`);
        if (attachments) made.file("var/lib/blockhost/attachments/x");
        const { stdout } = made.run(observeClient("/var/lib/blockhost").text);
        expect(stdout).not.toContain(PASSWORD);
        return parseClient(stdout).paths[0]?.keys;
    };
    const none = { username: "(null)", password: "(null)", username_in: "(null)", password_in: "(null)" };

    test.each<[string, Record<string, string>, Credentials]>([
        ["nothing", none, {}],
        ["nothing, which is empty", { username: "", password: "", username_in: "", password_in: "" }, {}],
        ["CHAP", { ...none, username: "db1", password: PASSWORD }, { chap }],
        [
            "mutual CHAP",
            { username: "db1", password: PASSWORD, username_in: "san", password_in: "I-am-the-target" },
            { chap, mutualChap },
        ],
    ])("is hashed as a node record's lines are: %s", (_, shown, credentials) => {
        expect(shows(shown)).toBe(sha256(authLines(credentials)));
    });

    test("is not concluded from what cannot be read", () => {
        expect(shows({ username: "db1" })).toBeUndefined();
        expect(shows({})).toBeUndefined();
    });

    test("is not read where nothing is attached", () => {
        expect(shows(none, false)).toBeUndefined();
    });
});

describe("portals", () => {
    const two = (paths: Declared["paths"]): Declared => ({
        ...ISCSI,
        portals: ["10.0.0.5:3260", "10.0.0.6:3260"],
        paths,
    });
    const NODES = "$R/etc/iscsi/nodes";
    /** open-iscsi, whose logins to some portals end in an error. */
    const iscsiadm = (...down: string[]) => `iscsiadm() {
    echo "$*" >> "$R/asked"
    case "$*" in
        *'-o new'*) mkdir -p "${NODES}/${TARGET}" && printf '%s\\n' '# BEGIN RECORD' 'node.startup = manual' '# END RECORD' > "${NODES}/${TARGET}/\${8%:*},3260" ;;
        *'-o delete'*) rm "${NODES}/${TARGET}/\${6%:*},3260" ;;
        ${down.map((address) => `*${address}*--login* | *discovery*${address}*) return 8 ;;`).join("\n        ")}
    esac
}
timeout() { shift; "$@"; }
systemctl() { :; }
udevadm() { :; }
sleep() { :; }`;
    const run = (declared: Declared, stage: string, ...down: string[]) => {
        made.file("etc/iscsi/nodes/.keep");
        made.file("run/boot-file", "#!/bin/sh\n# Attachment\n#bh mark\n#bh applied 0\n");
        return made.run(body(declared, { chap }, 0, "/run/boot-file").text, iscsiadm(...down), stage);
    };
    const record = (address: string) => join(made.root, `etc/iscsi/nodes/${TARGET}/${address},3260`);
    const asked = () => readFileSync(join(made.root, "asked"), "utf8");

    test("one that does not answer does not keep the others from being logged in to, and is told", () => {
        const { status, stderr } = run(two("all"), "login", "10.0.0.5");
        expect({ status, stderr }).toEqual({
            status: 1,
            stderr: "unreachable: 10.0.0.5:3260 (open-iscsi: 8)\n",
        });
        expect(asked()).toMatch(/10\.0\.0\.6:3260 --login/);
    });

    test.each([
        ["none", "return 21", "auth"],
        [
            "others",
            `printf '%s\\n' '10.0.0.5:3260,1 ${TARGET}2' '10.0.0.5:3260,1 iqn.2024-01.com.example:other'`,
            "auth",
        ],
        [
            "it",
            `printf '%s\\n' '10.0.0.5:3260,1 iqn.2024-01.com.example:other' '10.0.0.5:3260,1 ${TARGET}'`,
            "unreachable",
        ],
        ["nothing, as it does not answer that either", "return 4", "unreachable"],
    ])(
        "of one whose login runs out of time the targets that it shows tell whether it knows this one: %s",
        (_, shows, code) => {
            made.file("etc/iscsi/nodes/.keep");
            const answers = iscsiadm("10.0.0.5")
                .replace("| *discovery*10.0.0.5*", "")
                .replace('"$*" in', `"$*" in\n*discovery*) ${shows} ;;`);
            const { status, stderr } = made.run(
                body(two("one"), { chap }, 0, "/nonexistent").text,
                answers,
                "login",
            );
            expect({ status, stderr }).toEqual({
                status: 0,
                stderr:
                    code === "auth"
                        ? `auth: 10.0.0.5:3260 refuses iqn.2024-01.com.example:db1, or does not know ${TARGET} (open-iscsi: 8)\n`
                        : "unreachable: 10.0.0.5:3260 (open-iscsi: 8)\n",
            });
            expect(asked()).toContain("-m discovery -t st -p 10.0.0.5:3260 -o nonpersistent");
        },
    );

    test("where the device is there already, all else is done first: it grows, and then the portal is told", () => {
        made.partitioned();
        made.link("sys/class/block/sda/device", `${AT}/device/target0/0:0:0:0`);
        made.file("sys/class/block/dm-1/dm/name", "mpatha\n");
        expect(run(two("all"), "again", "10.0.0.6")).toMatchObject({
            status: 0,
            stderr: "unreachable: 10.0.0.6:3260 (open-iscsi: 8)\n",
        });
        made.file("sys/class/block/sda/size", "262144\n");
        const text = body(two("all"), { chap }, 262144 * 512, "/run/boot-file").text;
        const grows = `multipathd() { echo 262144 > $R/sys/class/block/dm-1/size; }`;
        const { status, stderr } = made.run(text, `${iscsiadm()}\n${grows}`, "device");
        expect({ status, stderr }).toEqual({
            status: 1,
            stderr: "unreachable: 10.0.0.6:3260 (the client is not logged in there)\n",
        });
        expect(readFileSync(join(made.root, "sys/class/block/dm-1/size"), "utf8")).toBe("262144\n");
        expect(readFileSync(join(made.root, "run/boot-file"), "utf8")).toContain("applied 0");
        // None that answers is an error at once.
        expect(run({ ...two("all"), target: `${TARGET}2` }, "again", "10.0.0.5", "10.0.0.6").status).toBe(1);
    });

    test("one that does not answer at boot does not keep the device away; it is tried again", () => {
        made.session();
        const functions = "map_of() { map=dm-0; }";
        made.file("etc/iscsi/nodes/.keep");
        made.file("run/boot-file", "#!/bin/sh\n# Attachment\n#bh mark\n#bh applied 0\n");
        const text = body(two("all"), { chap }, 0, "/run/boot-file").text.replace(
            /\nmap_of\(\) \{[^]*?\n\}/,
            "",
        );
        made.block("dm-0");
        const { status, stderr } = made.run(text, `${iscsiadm("10.0.0.6")}\n${functions}`, "all");
        expect({ status, stderr }).toEqual({
            status: 1,
            stderr: "unreachable: 10.0.0.6:3260 (open-iscsi: 8)\n",
        });
        expect(readFileSync(join(made.root, "run/boot-file"), "utf8")).toContain("applied 0");
        // Nobody reads it, and other attachments are waiting.
        expect(asked()).not.toContain("discovery");
    });

    test("of one path, no record stays of a portal that is not logged in to", () => {
        expect(run(two("one"), "login").status).toBe(0);
        expect(existsSync(record("10.0.0.5"))).toBe(true);
        made.file(
            `etc/iscsi/nodes/${TARGET}/10.0.0.5,3260`,
            "# BEGIN RECORD\nnode.startup = automatic\n# END RECORD\n",
        );
        // The client boots while the first is down: open-iscsi would log in to both from then on.
        expect(run(two("one"), "login", "10.0.0.5").status).toBe(0);
        expect([existsSync(record("10.0.0.5")), existsSync(record("10.0.0.6"))]).toEqual([false, true]);
    });

    test("one of whose record a power cut has left a part keeps nobody from the others", () => {
        made.session();
        made.file(`etc/iscsi/nodes/${TARGET}/10.0.0.6,3260`, "");
        expect(run(two("one"), "login")).toMatchObject({ status: 0, stderr: "" });
        expect(existsSync(record("10.0.0.6"))).toBe(false);
    });

    test.each(["one", "all"] as const)(
        "of %s: what multipathd has made of the device grows with it",
        (paths) => {
            made.partitioned();
            made.link("sys/class/block/sda/device", `${AT}/device/target0/0:0:0:0`);
            made.file("sys/class/block/dm-1/dm/name", "mpatha\n");
            made.file("sys/class/block/sda/size", "262144\n");
            const text = body({ ...ISCSI, paths }, { chap }, 262144 * 512, "/run/boot-file").text;
            const grow = (how: string) =>
                made.run(text, `udevadm() { :; }\nmultipathd() { ${how}; }`, "device");
            expect(grow(":")).toMatchObject({
                status: 1,
                stderr: "size: multipath has left /dev/dm-1 at 67108864 bytes\n",
            });
            const resize = `echo "$*" >> $R/asked; echo 262144 > $R/sys/class/block/dm-1/size`;
            expect(grow(resize)).toMatchObject({ status: 0, stderr: "" });
            expect(grow(resize)).toMatchObject({ status: 0, stderr: "" });
            expect(asked()).toBe("resize map mpatha\n");
        },
    );

    test("credentials are put on file without a login, where there is a record", () => {
        made.file(
            `etc/iscsi/nodes/${TARGET}/10.0.0.5,3260`,
            "# BEGIN RECORD\nnode.startup = automatic\n# END RECORD\n",
        );
        expect(run(two("all"), "records")).toMatchObject({ status: 0, stderr: "" });
        expect(readFileSync(record("10.0.0.5"), "utf8")).toContain(authLines({ chap }));
        expect(existsSync(record("10.0.0.6"))).toBe(false);
        expect(existsSync(join(made.root, "asked"))).toBe(false);
    });
});
