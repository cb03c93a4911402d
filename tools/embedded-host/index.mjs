// @ts-check
/**
 * The embedded storage host: an SSH server on loopback whose commands run on this machine, volumes as files below one
 * directory, exports by a private tgtd. What a real host does by itself can be done to it: cutting connections, being
 * unreachable, coming back with another key, losing power.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { userInfo } from "node:os";
import { join, resolve } from "node:path";
import { atEnd, removeDirectory, temporaryDirectory } from "../lifetime.mjs";
import { generateKeyPair, keyPairIn, writeKeyPair } from "./keys.mjs";
import { killMarked, markVariable, processesMarked, signal } from "./processes.mjs";
import { startSshServer } from "./ssh-server.mjs";
import { startTgtd } from "./tgtd.mjs";

/**
 * @typedef {object} EmbeddedHostOptions
 * @property {string} [name] default `embedded`
 * @property {string} [dir] keeps everything, keys included: started again in the same directory it is the same host.
 *     Without it, a temporary directory that goes with the host
 * @property {readonly string[]} [pools] default `["fast"]`
 * @property {Readonly<Record<string, string>>} [poolDirectories] where pools are that are not to be below `dir`
 * @property {boolean} [tgt] with an iSCSI target; default true
 * @property {number} [port] of SSH; default a free one
 * @property {string} [password] lets the user in, too
 * @property {number} [maxSessions] as sshd's MaxSessions, default 10
 * @property {Readonly<Record<string, string>>} [environment] more variables for commands
 */

/**
 * @typedef {Awaited<ReturnType<typeof startEmbeddedHost>>} EmbeddedHost
 */

/** @param {EmbeddedHostOptions} [options] */
export async function startEmbeddedHost(options = {}) {
    const ownDirectory = options.dir === undefined;
    const directory = options.dir === undefined ? temporaryDirectory("host") : resolve(options.dir);
    const mark = randomUUID();
    const hostKeyFile = join(directory, "host_key");
    const privateKeyFile = join(directory, "client_key");
    let hostKey = keyPairIn(hostKeyFile);
    const clientKey = keyPairIn(privateKeyFile);
    const user = userInfo().username;
    const stateDirectory = join(directory, "state");
    const home = join(directory, "home");
    /** @type {Record<string, string>} */
    const poolDirectories = {};
    for (const pool of options.pools ?? ["fast"]) {
        poolDirectories[pool] = options.poolDirectories?.[pool] ?? join(directory, "pools", pool);
    }
    for (const path of [home, ...Object.values(poolDirectories)]) mkdirSync(path, { recursive: true });

    const tgtd =
        options.tgt === false ? undefined : await startTgtd({ mark, logFile: join(directory, "tgtd.log") });
    const ssh = await startSshServer({
        user,
        hostKey: hostKey.privateKey,
        authorizedKey: clientKey.publicKey,
        password: options.password,
        port: options.port ?? 0,
        maxSessions: options.maxSessions ?? 10,
        cwd: home,
        environment: {
            // As sshd gives them, nothing of ours; with the administrators' directories, as root has them.
            PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            HOME: home,
            USER: user,
            LOGNAME: user,
            SHELL: "/bin/sh",
            [markVariable]: mark,
            ...options.environment,
        },
    });

    const host = {
        name: options.name ?? "embedded",
        directory,
        address: "127.0.0.1",
        port: ssh.port,
        user,
        /** Fingerprint, `SHA256:…`. */
        get hostKey() {
            return hostKey.fingerprint;
        },
        /** As in known_hosts, after the host's name. */
        get hostPublicKey() {
            return hostKey.publicKey;
        },
        privateKeyFile,
        poolDirectories,
        stateDirectory,
        /** Control port, portal and process id of its tgtd; `undefined` without one. */
        tgt: tgtd,
        /** Counted since the start. */
        counters: ssh.counters,

        /**
         * This host as an entry of `blockhost:hosts`.
         *
         * @param {Readonly<Record<string, unknown>>} [more]
         */
        configuration(more = {}) {
            return {
                address: host.address,
                port: host.port,
                user,
                hostKey: host.hostKey,
                privateKeyFile,
                stateDirectory,
                pools: Object.fromEntries(
                    Object.entries(poolDirectories).map(([pool, path]) => {
                        return [pool, { driver: "file", directory: path, initialize: true }];
                    }),
                ),
                ...(tgtd && {
                    targets: {
                        iscsi: { helper: "tgt", portals: [tgtd.portal], controlPort: tgtd.controlPort },
                    },
                }),
                ...more,
            };
        },

        cutConnections: ssh.cutConnections,
        setReachable: ssh.setReachable,
        setTap: ssh.setTap,
        /** Process ids of everything that runs on it, tgtd among them. */
        processes: () => processesMarked(mark),
        /** Sessions whose shell still runs, with the shell's process id. */
        sessions: ssh.sessions,
        /** Kills the shells of all sessions and what is in their process groups; says how many there were. */
        killShells() {
            const sessions = ssh.sessions();
            for (const session of sessions) signal(-session.pid, "SIGKILL");
            return sessions.length;
        },
        /** From now on it has another host key, as after a new installation. */
        changeHostKey() {
            hostKey = generateKeyPair();
            writeKeyPair(hostKeyFile, hostKey);
            ssh.setHostKey(hostKey.privateKey);
        },
        /** Ends tgtd, by default as a crash would: it forgets all targets. @param {NodeJS.Signals} [name] */
        stopTgtd: async (name) => tgtd?.stop(name),
        /** Starts tgtd again, empty, at the same portal. */
        startTgtd: async () => tgtd?.start(),
        /** Everything ends at once, nobody is told; files stay as they are. */
        async powerOff() {
            await ssh.setReachable("refused");
            ssh.cutConnections();
            await killMarked(mark);
            // Also this process has to have noticed that its daemon is dead.
            await tgtd?.stop();
        },
        async powerOn() {
            await tgtd?.start();
            await ssh.setReachable("yes");
        },
        /** Ends everything that runs on it. A temporary directory goes, too. */
        async stop() {
            forget();
            await ssh.close();
            await killMarked(mark);
            await tgtd?.dispose();
            if (ownDirectory) removeDirectory(directory);
        },
    };
    const forget = atEnd(() => host.stop());
    return host;
}
