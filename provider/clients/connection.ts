import { createHash } from "node:crypto";
import { BlockhostError } from "../errors";
import { Secret } from "../sh";
import { formatPath } from "../validate";
import { dhchapKeyProblem } from "../targets/dhchap";
import { iscsiNameProblem, normalizeIscsiName } from "../targets/iqn";
import { NQN_MAX_LENGTH } from "../targets/nqn";
import { normalizePortal, parsePortal } from "../targets/portal";
import type { ConnectionProperties, Protocol } from "../targets/types";
import type { ClientFacts, Connection, Credentials } from "./types";

/**
 * Reads connection properties in os-brick's form: those of an `Export`, or of whoever else makes them. Beside what
 * os-brick knows there are `serial`, `auth_username_in` and `auth_password_in` (mutual CHAP), `dhchap_key` and
 * `dhchap_ctrl_key`, and `auth_by_initiator`.
 */

interface Problem {
    readonly path: string;
    readonly reason: string;
}

/** What is wrong with a connection, by path below it; empty: it can be used. Values are never quoted: they may be secret. */
export function connectionProblems(given: ConnectionProperties): Problem[] {
    const { target_nqn: name } = given.data;
    const long =
        given.driver_volume_type === "nvmeof" && typeof name === "string" && name.length > NQN_MAX_LENGTH;
    const reason = `has more than ${String(NQN_MAX_LENGTH)} characters, which Linux does not connect to`;
    return [
        ...formProblems(given),
        ...(long ? [{ path: "data.target_nqn", reason }] : []),
        ...credentialProblems(given.data),
    ];
}

/** What keeps a connection from being read at all, such as one in the state. */
function formProblems({ driver_volume_type: type, data }: ConnectionProperties): Problem[] {
    const problems: Problem[] = [];
    const say = (path: string, reason: string) => problems.push({ path: `data.${path}`, reason });
    if (!["iscsi", "nvmeof"].includes(type))
        return [
            {
                path: "driver_volume_type",
                reason: "must be `iscsi` or `nvmeof`: nothing else can be attached",
            },
        ];
    const iscsi = type === "iscsi";
    const name = data[iscsi ? "target_iqn" : "target_nqn"];
    const key = iscsi ? "target_iqn" : "target_nqn";
    if (typeof name !== "string") say(key, "is missing");
    else if (iscsi && iscsiNameProblem(name) !== undefined)
        say(
            key,
            'is not an iSCSI name: it must look like "iqn.2024-01.com.example:db1" (or begin with "eui." or "naa."), with 223 characters at most',
        );
    // Targets from elsewhere have names that nqn.ts does not know, such as Cinder's "nqn.nvme-subsystem-1-…".
    else if (!iscsi && !/^nqn\.[\x21-\x2b\x2d-\x7e]+$/.test(name))
        say(
            key,
            "is not an NVMe name: it must start with `nqn.`, and hold no space, comma or other than ASCII",
        );
    const portals = portalsIn(type, data);
    if (portals.length === 0) say(iscsi ? "target_portal" : "portals", "is missing");
    for (const { path, text, reason } of portals) if (parsePortal(text) === undefined) say(path, reason);
    const iqns = data["target_iqns"];
    if (iscsi && Array.isArray(iqns) && new Set(iqns).size > 1)
        say("target_iqns", "names several targets; only portals of one can be attached");
    const unit = data[iscsi ? "target_lun" : "ns_id"] ?? (iscsi ? 0 : 1);
    if (typeof unit !== "number" || !Number.isInteger(unit) || unit < 0 || unit > 16_383)
        say(iscsi ? "target_lun" : "ns_id", "must be a whole number from 0 to 16383");
    return problems;
}

function credentialProblems(data: ConnectionProperties["data"]): Problem[] {
    const own = Object.entries(ownCredentials(data)).map(
        ([initiator, auth]) => [formatPath(["auth_by_initiator", initiator], "data"), auth] as const,
    );
    return [["data", data] as const, ...own].flatMap(([at, from]) =>
        [...halfCredentials(from), ...unfitCredentials(from)].map(([path, reason]) => ({
            path: `${at}.${path}`,
            reason,
        })),
    );
}

/** Half of a credential would be none: a target that lets in anybody then has not proved itself, or asked for a proof. */
const NEEDED = [
    ["auth_username", "auth_password"],
    ["auth_password", "auth_username"],
    ["auth_username_in", "auth_password_in"],
    ["auth_password_in", "auth_username_in"],
    ["auth_username_in", "auth_username"],
    ["dhchap_ctrl_key", "dhchap_key"],
] as const;

/** What is missing, and why. */
function halfCredentials(from: Readonly<Record<string, unknown>>): [path: string, reason: string][] {
    return NEEDED.filter(
        ([given, needed]) => textIn(from, given) !== undefined && textIn(from, needed) === undefined,
    ).map(([given, needed]) => [needed, `is missing, beside ${given}`]);
}

/** What cannot reach the client as it is, and why. */
function unfitCredentials(from: Readonly<Record<string, unknown>>): [path: string, reason: string][] {
    const unfit = (key: string, problemOf: (text: string) => string | undefined): [string, string][] => {
        const text = textIn(from, key);
        const reason = text === undefined ? undefined : problemOf(text);
        return reason === undefined ? [] : [[key, reason]];
    };
    return [
        ...["auth_username", "auth_password", "auth_username_in", "auth_password_in"].flatMap((key) =>
            unfit(key, recordProblem),
        ),
        ...["dhchap_key", "dhchap_ctrl_key"].flatMap((key) => unfit(key, dhchapKeyProblem)),
    ];
}

/** Bytes that open-iscsi has room for in a name or password. */
const RECORD_VALUE_MAX = 255;

/**
 * Why a node record of open-iscsi cannot hold a text as a value; `undefined`: it can. How long and of what a secret is
 * otherwise is for its target to say. Source: open-iscsi, usr/idbm.c `idbm_recinfo_config`: a line each, blanks around the
 * value are none of it, and a longer one is written past the end of its buffer.
 */
function recordProblem(text: string): string | undefined {
    // eslint-disable-next-line no-control-regex -- control characters are what is refused
    if (/[\0-\x1f\x7f]/.test(text)) return "holds a control character, such as the end of a line";
    if (/^ | $/.test(text)) return "begins or ends with a space, which open-iscsi takes away";
    if (Buffer.byteLength(text) > RECORD_VALUE_MAX)
        return `has more than ${String(RECORD_VALUE_MAX)} bytes, which open-iscsi does not take`;
    return undefined;
}

/**
 * For credentials of a state, which are read whatever they are: a line end in one would become another setting of the node
 * record, and a comma in a key another option of the connection.
 *
 * @throws BlockhostError `invalid`
 */
export function refuseUnfit({ chap, mutualChap, key, controllerKey }: Credentials): void {
    const pairs = [chap, mutualChap].filter((pair) => pair !== undefined);
    const keys = [key, controllerKey].filter((one) => one !== undefined);
    const [reason] = [
        ...pairs.flatMap(({ username, password }) => [username, password.value]).map(recordProblem),
        ...keys.map(({ value }) => dhchapKeyProblem(value)),
    ].filter((one) => one !== undefined);
    if (reason === undefined) return;
    throw new BlockhostError("invalid", `one of the credentials of the connection ${reason}`, {
        property: "connection",
    });
}

/** @throws BlockhostError `invalid` */
export function readConnection(given: ConnectionProperties): Connection {
    const problems = formProblems(given);
    if (problems.length > 0) {
        const all = problems.map(({ path, reason }) => `connection.${path} ${reason}`).join("; ");
        throw new BlockhostError("invalid", all, { property: "connection" });
    }
    const { driver_volume_type: type, data } = given;
    const iscsi = type === "iscsi";
    const text = (key: string) => textIn(data, key);
    const serial = text("serial");
    const uuid = iscsi ? undefined : text("vol_uuid");
    const target = text(iscsi ? "target_iqn" : "target_nqn") ?? "";
    const portals = portalsIn(type, data).map(({ text }) => normalizePortal(text));
    return {
        protocol: iscsi ? "iscsi" : "nvme-tcp",
        target: iscsi ? normalizeIscsiName(target) : target,
        portals: [...new Set(portals)],
        unit: Number(data[iscsi ? "target_lun" : "ns_id"] ?? (iscsi ? 0 : 1)),
        ...(serial === undefined ? {} : { serial }),
        ...(uuid === undefined ? {} : { uuid }),
        credentials: credentialsIn(data),
        byInitiator: Object.fromEntries(
            Object.entries(ownCredentials(data)).map(([who, auth]) => [who, credentialsIn(auth)]),
        ),
    };
}

function textIn(from: Readonly<Record<string, unknown>>, key: string): string | undefined {
    const value = from[key];
    return typeof value === "string" && value !== "" ? value : undefined;
}

/** Credentials by initiator. */
function ownCredentials(data: ConnectionProperties["data"]): Record<string, Record<string, unknown>> {
    const all = Object.entries(data["auth_by_initiator"] ?? {});
    return Object.fromEntries(all.filter(([, own]) => typeof own === "object" && own !== null));
}

interface GivenPortal {
    /** Below `data`. */
    readonly path: string;
    /** Address and port; empty: it has none that can be read. */
    readonly text: string;
    /** What to say where it is none. */
    readonly reason: string;
}

const NO_PORTAL = "must be an address and a port: 10.0.0.5:3260, or [fd00::5]:3260";
const NO_NVME_PORTAL = 'must be an address, a port and a transport: ["10.0.0.5", "4420", "tcp"]';

function portalsIn(type: string, data: ConnectionProperties["data"]): GivenPortal[] {
    if (type === "iscsi") {
        const { target_portal: one, target_portals: several } = data;
        const portal = (path: string, value: unknown): GivenPortal => ({
            path,
            text: typeof value === "string" ? value : "",
            reason: NO_PORTAL,
        });
        if (Array.isArray(several))
            return several.map((value, i) => portal(`target_portals[${String(i)}]`, value));
        return one === undefined ? [] : [portal("target_portal", one)];
    }
    const { portals } = data;
    if (!Array.isArray(portals)) return [];
    return portals.map((portal: unknown, i) => {
        const path = `portals[${String(i)}]`;
        const [address, port, transport] = Array.isArray(portal) ? (portal as unknown[]) : [];
        if (typeof address !== "string" || typeof transport !== "string")
            return { path, text: "", reason: NO_NVME_PORTAL };
        if (transport.toLowerCase() !== "tcp")
            return {
                path,
                text: "",
                reason: "has a transport that is not TCP: nothing else can be attached",
            };
        const text = address.includes(":") ? `[${address}]:${String(port)}` : `${address}:${String(port)}`;
        return { path, text, reason: NO_NVME_PORTAL };
    });
}

function credentialsIn(from: Readonly<Record<string, unknown>>): Credentials {
    const text = (key: string) => textIn(from, key);
    const pair = (username?: string, password?: string) =>
        username === undefined || password === undefined
            ? undefined
            : { username, password: new Secret(password) };
    const chap = pair(text("auth_username"), text("auth_password"));
    const mutualChap = pair(text("auth_username_in"), text("auth_password_in"));
    const key = text("dhchap_key");
    const controllerKey = text("dhchap_ctrl_key");
    return {
        ...(chap === undefined ? {} : { chap }),
        ...(mutualChap === undefined ? {} : { mutualChap }),
        ...(key === undefined ? {} : { key: new Secret(key) }),
        ...(controllerKey === undefined ? {} : { controllerKey: new Secret(controllerKey) }),
    };
}

/** Lines on authentication that a node record shall have. Source: open-iscsi, usr/idbm.c. */
export function authLines({ chap, mutualChap }: Credentials): string {
    const set = (key: string, value: string) => `node.session.auth.${key} = ${value}\n`;
    if (chap === undefined) return set("authmethod", "None");
    const own = `${set("username", chap.username)}${set("password", chap.password.value)}`;
    const theirs =
        mutualChap === undefined
            ? ""
            : `${set("username_in", mutualChap.username)}${set("password_in", mutualChap.password.value)}`;
    return `${set("authmethod", "CHAP")}${own}${theirs}`;
}

/** Keys of a controller, as sysfs has them, one a line. */
export function keyLines({ key, controllerKey }: Credentials): string {
    return `${key?.value ?? "none"}\n${controllerKey?.value ?? "none"}\n`;
}

/** The name that a client shows to targets of a protocol, as they have it; `undefined`: it has none. */
export function initiatorOf({ iqn, nqn }: ClientFacts, protocol: Protocol): string | undefined {
    if (protocol === "nvme-tcp") return nqn;
    return iqn === undefined ? undefined : normalizeIscsiName(iqn);
}

/** What an initiator has to show. */
export function credentialsFor({ byInitiator, credentials }: Connection, initiator: string): Credentials {
    return byInitiator[initiator] ?? credentials;
}

export function sha256(text: string): string {
    return createHash("sha256").update(text).digest("hex");
}
