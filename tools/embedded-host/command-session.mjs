// @ts-check
/**
 * One command of an SSH session: `/bin/sh -c` on this machine, joined to the channel as sshd would do it. The client's
 * end of input is the command's; a client that goes away leaves the command running, with its pipes closed.
 */
import { spawn } from "node:child_process";
import { signal } from "./processes.mjs";

/**
 * Sees what passes through a session, before it is passed on. With `"cut"` the chunk is dropped and the connection cut;
 * with a Buffer, that goes through in the chunk's place and then the connection is cut.
 *
 * @callback Tap
 * @param {{ direction: "in" | "out" | "err", chunk: Buffer, session: CommandSession }} passing
 * @returns {void | undefined | "cut" | Buffer}
 */

/**
 * @typedef {object} CommandSession
 * @property {number} id counted from 1
 * @property {string} command
 * @property {number} pid of the shell, which leads a process group of its own
 * @property {() => void} cut ends the connection that it came through
 */

/**
 * @param {object} options
 * @param {number} options.id
 * @param {string} options.command
 * @param {import("ssh2").ServerChannel} options.channel
 * @param {NodeJS.ProcessEnv} options.environment
 * @param {string} options.cwd
 * @param {() => Tap | undefined} options.tap
 * @param {() => void} options.cut
 */
export function startCommand({ id, command, channel, environment, cwd, tap, cut }) {
    const child = spawn("/bin/sh", ["-c", command], { cwd, env: environment, detached: true, stdio: "pipe" });
    /** @type {CommandSession} */
    const session = { id, command, pid: child.pid ?? 0, cut };

    const send = oneAfterTheOther(channel);
    /** @param {"in" | "out" | "err"} direction @param {NodeJS.ReadableStream} from @param {NodeJS.WritableStream} to */
    const forward = (direction, from, to) => {
        from.on("data", (/** @type {Buffer} */ chunk) => {
            const verdict = tap()?.({ direction, chunk, session });
            if (verdict === "cut") return cut();
            if (verdict instanceof Buffer) return void to.write(verdict, () => cut());
            if (direction !== "in") {
                from.pause();
                void send(to, chunk).then(() => from.resume());
            } else if (!to.write(chunk)) {
                from.pause();
                to.once("drain", () => from.resume());
            }
        });
        // Either end may close before the other; what is lost then is lost with sshd, too.
        from.on("error", () => {});
        to.on("error", () => {});
    };
    forward("in", channel, child.stdin);
    forward("out", child.stdout, channel);
    forward("err", child.stderr, channel.stderr);
    channel.on("end", () => child.stdin.end());

    child.on("error", (error) => {
        channel.stderr.write(`${error.message}\n`);
        channel.exit(127);
        channel.end();
    });
    child.on("exit", (status, name) => {
        if (name) channel.exit(name.replace(/^SIG/, ""), false, "");
        else channel.exit(status ?? 0);
    });
    // Not before background jobs have let go of the output, which is what sshd waits for.
    child.on("close", () => void send(channel, Buffer.alloc(0)).then(() => channel.end()));
    channel.on("close", () => {
        for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy();
    });

    return {
        session,
        child,
        /** Of the client: to the whole process group, as sshd does. @param {string} name without SIG */
        signal(name) {
            if (child.pid) signal(-child.pid, /** @type {NodeJS.Signals} */ (`SIG${name}`));
        },
    };
}

/**
 * What goes to a client over a channel's two streams. ssh2 1.17 keeps one note for both of what waits for the client to
 * take more, and never clears it: errors that come while output waits would stay for ever, or output go out a second time.
 *
 * @param {import("ssh2").ServerChannel} channel
 * @returns {(to: NodeJS.WritableStream, chunk: Buffer) => Promise<void>}
 */
function oneAfterTheOther(channel) {
    /** @type {{ _chunk?: Buffer | undefined, _chunkcb?: unknown, _chunkErr?: Buffer | undefined, _chunkcbErr?: unknown }} */
    const notes = /** @type {any} */ (channel);
    let last = Promise.resolve();
    return (to, chunk) => {
        last = last.then(
            () =>
                new Promise((resolve) => {
                    to.write(chunk, () => {
                        notes._chunk = notes._chunkcb = notes._chunkErr = notes._chunkcbErr = undefined;
                        resolve();
                    });
                }),
        );
        return last;
    };
}
