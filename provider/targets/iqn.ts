import { GENERATION_DIGITS } from "../host/epoch";
import { NAME_MAX_LENGTH } from "../names";

/** Names of iSCSI initiators and targets. Source: RFC 7143, sections 4.2.7 and 4.2.7.3 to 4.2.7.5. */

/** Bytes that a name may have. */
export const ISCSI_NAME_MAX_LENGTH = 223;

const DOMAIN_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
const IQN = new RegExp(
    `^iqn\\.\\d{4}-(?:0[1-9]|1[0-2])\\.${DOMAIN_LABEL}(?:\\.${DOMAIN_LABEL})*(?::[a-z0-9.:-]+)?$`,
);
const EUI = /^eui\.[0-9a-f]{16}$/;
const NAA = /^naa\.(?:[0-9a-f]{16}|[0-9a-f]{32})$/;

/** The one spelling of a name: iSCSI names mean the same in upper and lower case. */
export function normalizeIscsiName(name: string): string {
    return name.toLowerCase();
}

/** Why a text cannot be the name of an initiator or target; `undefined`: it can. */
export function iscsiNameProblem(given: string): string | undefined {
    const name = normalizeIscsiName(given);
    const shown = JSON.stringify(given.length <= 60 ? given : `${given.slice(0, 57)}…`);
    if (name.length > ISCSI_NAME_MAX_LENGTH) {
        return `has ${String(name.length)} characters; an iSCSI name has at most ${String(ISCSI_NAME_MAX_LENGTH)}`;
    }
    if (IQN.test(name) || EUI.test(name) || NAA.test(name)) return undefined;
    if (/^eui\./.test(name))
        return `${shown} is not an iSCSI name: "eui." is followed by 16 hexadecimal digits`;
    if (/^naa\./.test(name))
        return `${shown} is not an iSCSI name: "naa." is followed by 16 or 32 hexadecimal digits`;
    return (
        `${shown} is not an iSCSI name: it must look like "iqn.2024-01.com.example:db1" ` +
        '(a year and month, the domain reversed, then ":" and letters, digits, ".", "-", ":"), ' +
        "as in /etc/iscsi/initiatorname.iscsi on the client"
    );
}

/** Bytes of a target name after the prefix, at most. */
const SUFFIX_MAX_LENGTH = NAME_MAX_LENGTH + 1 + GENERATION_DIGITS;

/** Why a text cannot be the prefix of target names; `undefined`: it can. */
export function targetPrefixProblem(prefix: string): string | undefined {
    if (prefix !== prefix.toLowerCase()) return "must be in lower case";
    if (prefix.length + SUFFIX_MAX_LENGTH > ISCSI_NAME_MAX_LENGTH) {
        return `must have at most ${String(ISCSI_NAME_MAX_LENGTH - SUFFIX_MAX_LENGTH)} characters`;
    }
    if (!/:[a-z0-9.:-]*$/.test(prefix) || iscsiNameProblem(`${prefix}x`) !== undefined) {
        return 'must be the beginning of an iSCSI name up to or past its ":", such as "iqn.2024-01.com.example:"';
    }
    return undefined;
}

/**
 * The name of an export's target: readable, and new for each generation, so that an initiator of a former export can
 * never reach another volume under the name it knows (CVE-2023-2088).
 */
export function targetName(prefix: string, exportName: string, generation: string): string {
    return `${beginning(prefix, exportName)}${generation.slice(0, GENERATION_DIGITS)}`;
}

/** Whether a name is the one of an export's target, of whatever generation. */
export function isTargetOf(prefix: string, exportName: string, name: string): boolean {
    const start = beginning(prefix, exportName);
    return name.startsWith(start) && /^[0-9a-f]+$/.test(name.slice(start.length));
}

function beginning(prefix: string, exportName: string): string {
    return `${prefix}${exportName.toLowerCase().replaceAll(/[^a-z0-9.-]/g, "-")}:`;
}
