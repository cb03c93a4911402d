// @ts-check
/**
 * An independent initiator: what blockhost exports is logged in to, read and written with libiscsi's tools and QEMU's,
 * which share no code with it.
 *
 * CHAP secrets go in the environment or in a file, never on a command line, so that a test that looks for secrets in
 * the process list finds only other people's.
 */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.mjs";
import { answers } from "./embedded-host/ports.mjs";
import { atEnd, removeDirectory, temporaryDirectory } from "./lifetime.mjs";

const defaultInitiator = "iqn.2024-01.com.example:initiator";

/**
 * @typedef {{ username: string, password: string }} Chap
 *
 * @typedef {object} Lun where to log in, and as whom
 * @property {string} portal `address:port`
 * @property {string} iqn of the target
 * @property {number} lun
 * @property {string} [initiator] the name we go by
 * @property {Chap} [chap] by which we prove who we are
 * @property {Chap} [mutual] by which the target has to prove who it is; only `login` and `capacity` ask for it
 */

/**
 * From what an Export's `connection` says, in os-brick's form.
 *
 * @param {{ driver_volume_type: string, data: Record<string, any> }} connection
 * @param {string} [initiator]
 * @returns {Lun}
 */
export function lunOf(connection, initiator) {
    const { data } = connection;
    return {
        portal: data["target_portal"],
        iqn: data["target_iqn"],
        lun: data["target_lun"],
        ...(initiator !== undefined && { initiator }),
        ...(data["auth_username"] && {
            chap: { username: data["auth_username"], password: data["auth_password"] },
        }),
    };
}

/**
 * Logs in, asks what is there and logs out.
 *
 * @param {Lun} lun
 * @returns {Promise<{ ok: true, output: string } | { ok: false, reason: string }>}
 */
export async function login(lun) {
    const { status, stdout, stderr } = await libiscsi("iscsi-inq", lun, [urlOf(lun)]);
    return status === 0 ? { ok: true, output: stdout } : { ok: false, reason: lastLine(stdout + stderr) };
}

/**
 * The size that the target tells initiators, in bytes.
 *
 * @param {Lun} lun
 */
export async function capacity(lun) {
    const { status, stdout, stderr } = await libiscsi("iscsi-readcapacity16", lun, ["--size", urlOf(lun)]);
    if (status !== 0) throw new Error(`cannot read the capacity: ${lastLine(stdout + stderr)}`);
    return Number(stdout.trim());
}

/**
 * The target names that a portal tells us.
 *
 * @param {string} portal
 * @param {{ initiator?: string, chap?: Chap }} [as]
 * @returns {Promise<string[]>}
 */
export async function discover(portal, as = {}) {
    const { status, stdout, stderr } = await libiscsi("iscsi-ls", as, [`iscsi://${portal}`]);
    if (status !== 0) {
        // tgtd hangs up on discovery where it has no target, which looks as if it were not there.
        const [host = "", port] = portal.split(/:(?=\d+$)/);
        const hungUp = /Can not reconnect/.test(stderr) && (await answers({ host, port: Number(port) }));
        if (!hungUp) throw new Error(`cannot discover: ${lastLine(stdout + stderr)}`);
    }
    return [...stdout.matchAll(/^Target:(\S+)/gm)].map((match) => match[1] ?? "");
}

/**
 * The unit serial number (VPD page 0x80).
 *
 * @param {Lun} lun
 */
export async function serial(lun) {
    const args = ["--evpd=1", "--pagecode=128", urlOf(lun)];
    const { status, stdout, stderr } = await libiscsi("iscsi-inq", lun, args);
    if (status !== 0) throw new Error(`cannot read the serial number: ${lastLine(stdout + stderr)}`);
    return /Unit Serial Number:\s*\[?([^\]\n]*)/.exec(stdout)?.[1]?.trim() ?? "";
}

/**
 * Writes bytes, or one byte over and over, and flushes.
 *
 * @param {Lun} lun
 * @param {{ offset: number, bytes: Uint8Array } | { offset: number, length: number, pattern: number }} what
 */
export async function write(lun, what) {
    await withQemu(lun, async (image, directory) => {
        /** @type {string} */
        let command;
        if ("bytes" in what) {
            const file = join(directory, "bytes");
            writeFileSync(file, what.bytes);
            command = `write -s ${file} ${what.offset} ${what.bytes.length}`;
        } else {
            command = `write -P ${what.pattern} ${what.offset} ${what.length}`;
        }
        await qemu("qemu-io", [...image(), "-c", command, "-c", "flush"]);
    });
}

/**
 * Reads bytes; offset and length in whole sectors of 512.
 *
 * @param {Lun} lun
 * @param {{ offset: number, length: number }} what
 * @returns {Promise<Buffer>}
 */
export async function read(lun, { offset, length }) {
    return withQemu(lun, async (image, directory) => {
        const file = join(directory, "bytes");
        await qemu("qemu-img", ["convert", ...image({ offset, length }), "-O", "raw", file]);
        return readFileSync(file);
    });
}

/**
 * Whether a range holds nothing but one byte over and over.
 *
 * @param {Lun} lun
 * @param {{ offset: number, length: number, pattern: number }} what
 */
export async function holds(lun, { offset, length, pattern }) {
    return withQemu(lun, async (image) => {
        const { stdout } = await qemu(
            "qemu-io",
            [...image(), "-c", `read -P ${pattern} ${offset} ${length}`],
            [0, 1],
        );
        if (/Pattern verification failed/.test(stdout)) return false;
        if (new RegExp(`^read ${length}/${length} bytes`, "m").test(stdout)) return true;
        throw new Error(`cannot read: ${lastLine(stdout)}`);
    });
}

/**
 * Logs in and stays logged in until closed: an initiator that uses the LUN.
 *
 * QEMU logs in again by itself when the session is dropped. Whether it was dropped is what the target tells, by the
 * session's identifier.
 *
 * @param {Lun} lun
 * @param {{ readOnly?: boolean }} [options] a LUN that cannot be written can only be opened for reading
 */
export async function openSession(lun, { readOnly = false } = {}) {
    const directory = temporaryDirectory("session");
    const args = [...(readOnly ? ["-r"] : []), ...imageArguments(lun, directory)()];
    const child = spawn("qemu-io", args, { stdio: "pipe" });
    const exited = new Promise((done) => child.once("close", done));
    let output = "";
    /** @type {(() => void) | undefined} */
    let onOutput;
    for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (/** @type {string} */ text) => {
            output += text;
            onOutput?.();
        });
    }
    child.stdin.on("error", () => {});
    const prompt = "qemu-io> ";

    /** What it says up to its next prompt. @returns {Promise<string>} */
    const answer = () =>
        new Promise((resolve, reject) => {
            const look = () => {
                const end = output.indexOf(prompt);
                if (end < 0) return;
                const said = output.slice(0, end);
                output = output.slice(end + prompt.length);
                onOutput = undefined;
                resolve(said);
            };
            onOutput = look;
            void exited.then(() => reject(new Error(`the session ended: ${lastLine(output)}`)));
            look();
        });

    const close = async () => {
        forget();
        child.stdin.end("quit\n");
        const impatient = setTimeout(() => child.kill("SIGKILL"), 3000);
        await exited;
        clearTimeout(impatient);
        removeDirectory(directory);
    };
    const forget = atEnd(close);
    child.once("error", () => {});
    try {
        await answer();
    } catch (error) {
        await close();
        throw error;
    }

    return {
        pid: child.pid,
        /** A command of qemu-io's, e.g. `write -P 0x11 0 512`. @param {string} command */
        async do(command) {
            child.stdin.write(`${command}\n`);
            const said = await answer();
            if (/failed|error/i.test(said)) throw new Error(said.trim());
            return said.trim();
        },
        close,
    };
}

/**
 * @param {string} program
 * @param {{ initiator?: string, chap?: Chap, mutual?: Chap }} as
 * @param {string[]} args
 */
function libiscsi(program, as, args) {
    return run(program, ["--initiator-name", as.initiator ?? defaultInitiator, ...args], {
        tolerate: true,
        env: {
            ...process.env,
            ...(as.chap && {
                LIBISCSI_CHAP_USERNAME: as.chap.username,
                LIBISCSI_CHAP_PASSWORD: as.chap.password,
            }),
            ...(as.mutual && {
                LIBISCSI_CHAP_TARGET_USERNAME: as.mutual.username,
                LIBISCSI_CHAP_TARGET_PASSWORD: as.mutual.password,
            }),
        },
    });
}

/** @param {Lun} lun */
function urlOf({ portal, iqn, lun }) {
    return `iscsi://${portal}/${iqn}/${lun}`;
}

/**
 * @template Result
 * @param {Lun} lun
 * @param {(image: ReturnType<typeof imageArguments>, directory: string) => Promise<Result>} work
 */
async function withQemu(lun, work) {
    const directory = temporaryDirectory("initiator");
    try {
        return await work(imageArguments(lun, directory), directory);
    } finally {
        removeDirectory(directory);
    }
}

/**
 * How QEMU's tools are told of a LUN, or of a part of it.
 *
 * @param {Lun} lun
 * @param {string} directory for the secret
 * @returns {(part?: { offset: number, length: number }) => string[]}
 */
function imageArguments(lun, directory) {
    const secret = join(directory, "secret");
    if (lun.chap) writeFileSync(secret, lun.chap.password, { mode: 0o600 });
    /** @type {Record<string, string | number>} */
    const iscsi = {
        driver: "iscsi",
        transport: "tcp",
        portal: lun.portal,
        target: lun.iqn,
        lun: lun.lun,
        "initiator-name": lun.initiator ?? defaultInitiator,
        ...(lun.chap && { user: lun.chap.username, "password-secret": "chap" }),
    };
    return (part) => [
        ...(lun.chap ? ["--object", `secret,id=chap,file=${secret}`] : []),
        "--image-opts",
        [
            "driver=raw",
            ...(part ? [`offset=${part.offset}`, `size=${part.length}`] : []),
            // A comma in a value is written twice.
            ...Object.entries(iscsi).map(
                ([name, value]) => `file.${name}=${String(value).replaceAll(",", ",,")}`,
            ),
        ].join(","),
    ];
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {number[]} [good] exit statuses that are not errors
 */
async function qemu(program, args, good = [0]) {
    const result = await run(program, args, { tolerate: true });
    if (good.includes(result.status) && !/can't open/.test(result.stderr)) return result;
    throw new Error(`${program}: ${lastLine(result.stdout + result.stderr)}`);
}

/** @param {string} text */
function lastLine(text) {
    return text.trimEnd().split("\n").at(-1) ?? "";
}
