import { isIPv4, isIPv6 } from "node:net";
import { shortestIPv6 } from "./portal";

/** Addresses and networks that initiators may come from. */

/** Why a text is neither an address nor a network in CIDR form; `undefined`: it is one. */
export function addressProblem(text: string): string | undefined {
    const shown = JSON.stringify(text.length <= 60 ? text : `${text.slice(0, 57)}…`);
    const parsed = parse(text);
    if (parsed === undefined) {
        return `${shown} is neither an address ("10.0.0.5", "fd00::5") nor a network ("10.0.0.0/24", "fd00::/64")`;
    }
    const { family, bytes, prefix } = parsed;
    if (
        family === 6 &&
        bytes.slice(0, 10).every((byte) => byte === 0) &&
        bytes[10] === 0xff &&
        bytes[11] === 0xff
    ) {
        return `${shown} is an IPv4 address in IPv6 form; write it as an IPv4 address`;
    }
    if (hasHostBits(bytes, prefix))
        return `${shown} has bits set beyond its prefix length; write the network's own address`;
    return undefined;
}

/**
 * A valid address as tgtd's access list needs it. It never matches `/32` and `/128`, nor `0.0.0.0/0` (a shift by the
 * width of an int); it lets IPv4 peers in through `::/0`, so that is split as well.
 * Source: tgt 1.0.85, usr/iscsi/target.c `netmask_match`.
 */
export function aclAddress(text: string): string[] {
    const parsed = parse(text);
    if (parsed === undefined) return [];
    const { family, address, prefix } = parsed;
    if (prefix === (family === 4 ? 32 : 128)) return [address];
    if (prefix > 0) return [`${address}/${String(prefix)}`];
    return family === 4 ? ["0.0.0.0/1", "128.0.0.0/1"] : ["::/1", "8000::/1"];
}

/** True when an address is, or is in, one of these. */
export function addressAdmitted(address: string, admitted: readonly string[]): boolean {
    const one = parse(address);
    if (one === undefined) return false;
    return admitted.some((text) => {
        const network = parse(text);
        if (network?.family !== one.family) return false;
        return network.bytes.every((byte, i) => {
            const bits = Math.max(0, Math.min(8, network.prefix - i * 8));
            const mask = (0xff << (8 - bits)) & 0xff;
            return (byte & mask) === ((one.bytes[i] ?? 0) & mask);
        });
    });
}

interface Network {
    readonly family: 4 | 6;
    readonly address: string;
    readonly bytes: readonly number[];
    readonly prefix: number;
}

function parse(text: string): Network | undefined {
    const [, given = "", digits] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
    if (isIPv4(given)) {
        const prefix = Number(digits ?? 32);
        if (prefix > 32) return undefined;
        return { family: 4, address: given, bytes: given.split(".").map(Number), prefix };
    }
    if (!isIPv6(given)) return undefined;
    const prefix = Number(digits ?? 128);
    if (prefix > 128) return undefined;
    const address = shortestIPv6(given);
    return { family: 6, address, bytes: bytesOfIPv6(address), prefix };
}

function bytesOfIPv6(address: string): number[] {
    const [left = "", right] = address.split("::");
    const groups = (text: string) =>
        text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
    const head = groups(left);
    const tail = right === undefined ? [] : groups(right);
    const middle = Array<number>(8 - head.length - tail.length).fill(0);
    return [...head, ...middle, ...tail].flatMap((group) => [group >> 8, group & 0xff]);
}

function hasHostBits(bytes: readonly number[], prefix: number): boolean {
    return bytes.some((byte, i) => {
        const bits = Math.max(0, Math.min(8, prefix - i * 8));
        return (byte & (0xff >> bits)) !== 0;
    });
}
