import { spawn, spawnSync } from "node:child_process";
import {
    existsSync,
    mkdirSync,
    mkdtempSync,
    readFileSync,
    rmSync,
    statSync,
    symlinkSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UNIT_HEADER } from "../../../provider/targets/bootUnit";
import { SHUTDOWN_SCRIPT, shutdownUnit } from "../../../provider/targets/shutdownUnit";
import { verifyUnit } from "../../support/systemdUnit";

/** The script that the unit runs, on a tree of plain files and links in place of `/sys`. */

let directory: string;

beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "bh shutdown-"));
});
afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
});

const at = (path: string) => join(directory, path);

function put(path: string, text = ""): void {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
}

const lio = (name: string) => `sys/kernel/config/target/iscsi/${name}/tpgt_1/enable`;
const link = (port: number, name: string) =>
    `sys/kernel/config/nvmet/ports/${String(port)}/subsystems/${name}`;

function serve(port: number, name: string): void {
    mkdirSync(dirname(at(link(port, name))), { recursive: true });
    symlinkSync(`../../../subsystems/${name}`, at(link(port, name)));
}

function bootFile(protocol: string, name: string, roots: string): void {
    const device = at(`dev/${name} of ours`);
    put(`dev/${name} of ours`);
    put(`state/exports/${protocol}/${name}`, `#!/bin/sh\n#bh roots ${roots}\n#bh device ${device}\n`);
}

/** Runs it, for so many seconds if it does not end before; the devices that were flushed. */
function shutDown(seconds?: number, text = SHUTDOWN_SCRIPT): string[] {
    put("bin/sync", `#!/bin/sh\nshift\nprintf '%s\\n' "$@" >> "$FLUSHED"\n`);
    spawnSync("chmod", ["+x", at("bin/sync")]);
    put("state/shutdown-exports", text.replaceAll("/sys/", `${at("sys").replaceAll(" ", "\\ ")}/`));
    const command = ["sh", at("state/shutdown-exports")];
    const limited = seconds === undefined ? command : ["timeout", String(seconds), ...command];
    const { status, stderr } = spawnSync("env", limited, {
        encoding: "utf8",
        env: { ...process.env, PATH: `${at("bin")}:${process.env["PATH"] ?? ""}`, FLUSHED: at("flushed") },
    });
    const unlocked = existsSync(at("state/lock")) && statSync(at("state/lock")).isDirectory();
    expect({ status, stderr: unlocked ? "" : stderr }).toEqual({
        status: seconds === undefined ? 0 : 124,
        stderr: "",
    });
    return existsSync(at("flushed")) ? readFileSync(at("flushed"), "utf8").trim().split("\n").sort() : [];
}

test.each(["/var/lib/blockhost", '/srv/a b$c%d\\e"f'])("the unit for %s is one to systemd", (state) => {
    const said = verifyUnit(at("blockhost-shutdown.service"), shutdownUnit(UNIT_HEADER, state));
    expect(said).toEqual({ status: 0, said: "" });
});

test("our exports are served no more, those of others are, and all of ours are flushed", () => {
    bootFile("iscsi", "a", "core/iblock_1/a iscsi/iqn.ours:a");
    bootFile("nvme-tcp", "b", "subsystems/nqn.ours:b");
    bootFile("nvme-tcp", "c", "subsystems/nqn.ours:c");
    put(lio("iqn.ours:a"), "1\n");
    const second = lio("iqn.ours:a").replace("tpgt_1", "tpgt_2");
    put(second, "1\n");
    put(lio("iqn.theirs:a"), "1\n");
    serve(1, "nqn.ours:b");
    serve(1, "nqn.ours:c");
    serve(2, "nqn.theirs:x");
    mkdirSync(at("sys/kernel/config/nvmet/ports/3/subsystems"), { recursive: true });
    expect(shutDown()).toEqual(["a", "b", "c"].map((name) => at(`dev/${name} of ours`)));
    for (const group of [lio("iqn.ours:a"), second]) expect(readFileSync(at(group), "utf8")).toBe("0\n");
    expect(readFileSync(at(lio("iqn.theirs:a")), "utf8")).toBe("1\n");
    const left = spawnSync("find", [at("sys/kernel/config/nvmet"), "-type", "l"], {
        encoding: "utf8",
    }).stdout;
    expect(left).toBe(`${at(link(2, "nqn.theirs:x"))}\n`);
});

test("portals of LIO go before the portal groups end, but of what this host has attached", () => {
    const portal = (name: string, address: string) =>
        `sys/kernel/config/target/iscsi/${name}/tpgt_1/np/${address}`;
    const open = (name: string, ...addresses: string[]) => {
        put(lio(name), "1\n");
        for (const address of addresses) mkdirSync(at(portal(name, address)), { recursive: true });
    };
    for (const name of ["a", "b", "c"])
        bootFile("iscsi", name, `core/iblock_1/${name} iscsi/iqn.ours:${name}`);
    open("iqn.ours:a", "192.0.2.1:3260", "[2001:db8::1]:3260", "192.0.2.1:3262");
    open("iqn.ours:b", "192.0.2.1:3260", "192.0.2.1:3261");
    open("iqn.ours:c", "192.0.2.1:3262");
    open("iqn.theirs:a", "192.0.2.1:3261");
    put("sys/class/iscsi_session/session1/targetname", "iqn.ours:c\n");
    // What a portal group finds when it ends.
    put(
        "bin/rmdir",
        `#!/bin/sh\ncat "${at("sys/kernel/config/target/iscsi")}"/*ours*/tpgt_1/enable >> "${at("enabled")}"\nexec /bin/rmdir "$@"\n`,
    );
    spawnSync("chmod", ["+x", at("bin/rmdir")]);
    expect(shutDown()).toHaveLength(3);
    expect(readFileSync(at("enabled"), "utf8")).toBe("1\n1\n1\n".repeat(5));
    const left = spawnSync("find", [".", "-path", "*/np/*"], {
        encoding: "utf8",
        cwd: at("sys/kernel/config/target/iscsi"),
    }).stdout;
    expect(left.trim().split("\n").sort()).toEqual([
        "./iqn.ours:c/tpgt_1/np/192.0.2.1:3262",
        "./iqn.theirs:a/tpgt_1/np/192.0.2.1:3261",
    ]);
    for (const [name, enabled] of [
        ["iqn.ours:a", 0],
        ["iqn.ours:b", 0],
        ["iqn.ours:c", 1],
    ] as const) {
        expect(readFileSync(at(lio(name)), "utf8")).toBe(`${String(enabled)}\n`);
    }
});

test.each([
    ["a portal of LIO that does not go", "rmdir"],
    ["a portal group of LIO that does not end", "enable"],
])("%s keeps nothing from being flushed", (_, what) => {
    bootFile("iscsi", "a", "core/iblock_1/a iscsi/iqn.ours:a");
    put(lio("iqn.ours:a"), "1\n");
    mkdirSync(at("sys/kernel/config/target/iscsi/iqn.ours:a/tpgt_1/np/192.0.2.1:3260"), { recursive: true });
    if (what === "rmdir") {
        put("bin/rmdir", "#!/bin/sh\nexec sleep 9 >/dev/null\n");
        spawnSync("chmod", ["+x", at("bin/rmdir")]);
    } else {
        // Opened for writing it waits, as for the kernel, until all is flushed, or for long.
        rmSync(at(lio("iqn.ours:a")));
        spawnSync("mkfifo", [at(lio("iqn.ours:a"))]);
        const flushed = 'n=0; until [ -s "$1" ] || [ $n = 99 ]; do sleep 0.2; n=$((n + 1)); done';
        const script = `${flushed}; mv "$1" "$2"; exec cat "$3"`;
        const args = [at("flushed"), at("in time"), at(lio("iqn.ours:a"))];
        spawn("sh", ["-c", script, "sh", ...args], { stdio: "ignore" });
    }
    const sooner = SHUTDOWN_SCRIPT.replace('"$process" 10', '"$process" 1').replace("$! 20", "$! 2");
    const flushed = shutDown(undefined, sooner);
    if (what === "rmdir") {
        expect(flushed).toEqual([at("dev/a of ours")]);
        expect(readFileSync(at(lio("iqn.ours:a")), "utf8")).toBe("0\n");
    } else expect(readFileSync(at("in time"), "utf8")).toBe(`${at("dev/a of ours")}\n`);
});

test("a port that somebody else's subsystem keeps open keeps ours: hosts would hear that it is gone for good", () => {
    bootFile("nvme-tcp", "b", "subsystems/nqn.ours:b");
    serve(1, "nqn.ours:b");
    serve(1, "nqn.theirs:x");
    serve(2, "nqn.ours:b");
    expect(shutDown()).toEqual([at("dev/b of ours")]);
    const left = spawnSync("find", [at("sys/kernel/config/nvmet"), "-type", "l"], {
        encoding: "utf8",
    }).stdout;
    expect(left.trim().split("\n").sort()).toEqual([at(link(1, "nqn.ours:b")), at(link(1, "nqn.theirs:x"))]);
});

test("what this host has attached itself goes on being served", () => {
    bootFile("iscsi", "a", "core/iblock_1/a iscsi/iqn.ours:a");
    bootFile("nvme-tcp", "b", "subsystems/nqn.ours:b");
    put(lio("iqn.ours:a"), "1\n");
    serve(1, "nqn.ours:b");
    put("sys/class/iscsi_session/session1/targetname", "iqn.ours:a\n");
    put("sys/class/nvme/nvme0/subsysnqn", "nqn.ours:b\n");
    expect(shutDown()).toHaveLength(2);
    expect(readFileSync(at(lio("iqn.ours:a")), "utf8")).toBe("1\n");
    expect(existsSync(dirname(at(link(1, "nqn.ours:b"))))).toBe(true);
    expect(spawnSync("test", ["-L", at(link(1, "nqn.ours:b"))]).status).toBe(0);
});

/**
 * A tgtd with control port 7 that has these targets, and then ends or hangs at what `trouble` matches; `busy`: while a
 * command is under way on that target, until its connection has ended.
 */
function tgtd(
    targets: readonly (readonly [number, string])[],
    { busy = 0, trouble = "none", hangs = false }: { busy?: number; trouble?: string; hangs?: boolean } = {},
): void {
    put(
        "targets",
        targets.map(([tid, name]) => `Target ${String(tid)}: ${name}\n    System information:\n`).join(""),
    );
    put(
        "bin/tgtadm",
        `#!/bin/sh
[ "$2" = 7 ] || exit 1
shift 4
ended="${at("ended")}"
case $* in *"${trouble}"*) ${hangs ? "exec sleep 600" : "exit 107"} ;; esac
case $* in
"--mode target --op show") cat "${at("targets")}" ;;
"--mode portal --op show") printf 'Portal: 0.0.0.0:3260,1\\nPortal: [::]:3260,1\\n' ;;
"--mode conn --op show --tid ${String(busy)}") [ -e "$ended" ] || printf 'Session: 3\\n    Connection: 0\\n        Initiator: iqn.a\\n' ;;
"--mode conn --op show "*) ;;
*)
    case $* in
    "--mode target --op delete --force --tid ${String(busy)}") [ -e "$ended" ] || exit 1 ;;
    "--mode conn --op delete "*) : > "$ended" ;;
    esac
    echo "!$*" >> "$FLUSHED" ;;
esac
`,
    );
    spawnSync("chmod", ["+x", at("bin/tgtadm")]);
}

function exportOfTgt(name: string): void {
    put(`dev/${name} of ours`);
    put(
        `state/exports/iscsi/${name}`,
        `#!/bin/sh\n#bh target iqn.ours:${name}\n#bh declared {"controlPort":7,"x":1}\n#bh device ${at(`dev/${name} of ours`)}\n`,
    );
}

/** What was asked of tgtd, in this order. */
const asked = () =>
    readFileSync(at("flushed"), "utf8")
        .split("\n")
        .filter((line) => line.startsWith("!"));

/** The devices alone. */
const flushedOf = (done: readonly string[]) => done.filter((line) => !line.startsWith("!"));

test("tgtd's targets are closed before their devices are flushed, but for those of others and our own", () => {
    for (const name of ["a", "b", "c"]) exportOfTgt(name);
    put("sys/class/iscsi_session/session1/targetname", "iqn.ours:c\n");
    tgtd([
        [1, "iqn.ours:a"],
        [2, "iqn.theirs:x"],
        [3, "iqn.ours:b"],
        [4, "iqn.ours:c"],
    ]);
    expect(shutDown()).toEqual([
        "!--mode target --op delete --force --tid 1",
        "!--mode target --op delete --force --tid 3",
        ...["a", "b", "c"].map((name) => at(`dev/${name} of ours`)),
    ]);
    expect(readFileSync(at("flushed"), "utf8").split("\n").slice(0, 2)).toEqual([
        expect.stringContaining("delete"),
        expect.stringContaining("delete"),
    ]);
});

test("a tgtd that has nothing but ours stops listening, and what is in use is cut off first", () => {
    for (const name of ["a", "b"]) exportOfTgt(name);
    tgtd(
        [
            [1, "iqn.ours:a"],
            [2, "iqn.ours:b"],
        ],
        { busy: 2 },
    );
    shutDown();
    const [first, second, ...then] = asked();
    expect([first, second]).toEqual([
        "!--mode portal --op delete --param portal=0.0.0.0:3260",
        "!--mode portal --op delete --param portal=[::]:3260",
    ]);
    expect(then.filter((line) => !line.endsWith("--tid 1"))).toEqual([
        "!--mode conn --op delete --tid 2 --sid 3 --cid 0",
        "!--mode target --op delete --force --tid 2",
    ]);
    expect(then).toContain("!--mode target --op delete --force --tid 1");
});

test.each(["target --op show", "portal --op show", "conn --op show"])(
    "a tgtd that ends at “%s” keeps nothing from being flushed, and loses no portal",
    (trouble) => {
        exportOfTgt("a");
        bootFile("iscsi", "b", "core/iblock_1/b iscsi/iqn.ours:b");
        tgtd([[1, "iqn.ours:a"]], { trouble });
        expect(flushedOf(shutDown())).toEqual(["a", "b"].map((name) => at(`dev/${name} of ours`)));
        if (trouble !== "conn --op show")
            expect(asked().filter((line) => line.includes("portal"))).toEqual([]);
    },
);

test("a tgtd that hangs holds up no flush but of its own devices, and these not for long", () => {
    exportOfTgt("a");
    bootFile("iscsi", "b", "core/iblock_1/b iscsi/iqn.ours:b");
    put(lio("iqn.ours:b"), "1\n");
    tgtd([[1, "iqn.ours:a"]], { trouble: "conn --op show", hangs: true });
    expect(flushedOf(shutDown(3))).toEqual([at("dev/b of ours")]);
    expect(readFileSync(at(lio("iqn.ours:b")), "utf8")).toBe("0\n");
    rmSync(at("flushed"));
    // Seconds of patience, for this test.
    const shorter = SHUTDOWN_SCRIPT.replace("began + 25", "began + 2");
    expect(shorter).not.toBe(SHUTDOWN_SCRIPT);
    expect(flushedOf(shutDown(undefined, shorter))).toEqual(
        ["a", "b"].map((name) => at(`dev/${name} of ours`)),
    );
});

test("an initiator that calls itself a target of ours has nothing of others' taken away", () => {
    for (const name of ["a", "b"]) exportOfTgt(name);
    tgtd([
        [1, "iqn.ours:a"],
        [9, "iqn.ours:b"],
        [9, "iqn.theirs:x"],
    ]);
    shutDown();
    expect(asked()).toEqual(["!--mode target --op delete --force --tid 1"]);
});

test("on a host without configfs, all is flushed", () => {
    bootFile("iscsi", "a", "");
    expect(shutDown()).toEqual([at("dev/a of ours")]);
});

test("a target whose kernel does not answer holds up no other's flush", () => {
    bootFile("iscsi", "a", "core/iblock_1/a iscsi/iqn.ours:a");
    bootFile("iscsi", "b", "core/iblock_1/b iscsi/iqn.ours:b");
    put(lio("iqn.ours:b"), "1\n");
    mkdirSync(dirname(at(lio("iqn.ours:a"))), { recursive: true });
    // To write there waits until somebody reads.
    spawnSync("mkfifo", [at(lio("iqn.ours:a"))]);
    expect(shutDown(3)).toEqual([at("dev/b of ours")]);
    expect(readFileSync(at(lio("iqn.ours:b")), "utf8")).toBe("0\n");
});

test("where the state directory cannot be written any more, all is done all the same", () => {
    bootFile("iscsi", "a", "core/iblock_1/a iscsi/iqn.ours:a");
    put(lio("iqn.ours:a"), "1\n");
    mkdirSync(at("state/lock"));
    expect(shutDown()).toEqual([at("dev/a of ours")]);
    expect(readFileSync(at(lio("iqn.ours:a")), "utf8")).toBe("0\n");
});

test("without any export there is nothing to do", () => {
    mkdirSync(at("state"));
    expect(shutDown()).toEqual([]);
});
