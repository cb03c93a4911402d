import { GENERATION_DIGITS } from "../host/epoch";
import { NAME_MAX_LENGTH } from "../names";

/** Names of NVMe hosts and subsystems. Source: NVM Express Base Specification 2.0, section 4.5. */

/**
 * Bytes that a name may have. The specification says 223, which nvmet takes; Linux as a host counts the end mark among
 * them, in names of subsystems and its own. Source: Linux 6.12, drivers/nvme/host/fabrics.c `nvmf_parse_options`.
 */
export const NQN_MAX_LENGTH = 222;

const DOMAIN_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
const NQN = new RegExp(
    `^nqn\\.\\d{4}-(?:0[1-9]|1[0-2])\\.${DOMAIN_LABEL}(?:\\.${DOMAIN_LABEL})*(?::[A-Za-z0-9._:-]+)?$`,
);

/** Why a text cannot be the name of a host or subsystem; `undefined`: it can. */
export function nqnProblem(name: string): string | undefined {
    const shown = JSON.stringify(name.length <= 60 ? name : `${name.slice(0, 57)}…`);
    if (name.length > NQN_MAX_LENGTH)
        return `has ${String(name.length)} characters; an NQN has at most ${String(NQN_MAX_LENGTH)}`;
    if (name === "nqn.2014-08.org.nvmexpress.discovery") return `${shown} is the name of discovery services`;
    if (NQN.test(name)) return undefined;
    return (
        `${shown} is not an NVMe qualified name: it must look like "nqn.2024-01.com.example:db1" or ` +
        '"nqn.2014-08.org.nvmexpress:uuid:…", as in /etc/nvme/hostnqn on the client'
    );
}

const SUFFIX_MAX_LENGTH = NAME_MAX_LENGTH + 1 + GENERATION_DIGITS;

/** Why a text cannot be the prefix of subsystem names; `undefined`: it can. */
export function subsystemPrefixProblem(prefix: string): string | undefined {
    if (prefix.length + SUFFIX_MAX_LENGTH > NQN_MAX_LENGTH)
        return `must have at most ${String(NQN_MAX_LENGTH - SUFFIX_MAX_LENGTH)} characters`;
    if (!/:[A-Za-z0-9._:-]*$/.test(prefix) || nqnProblem(`${prefix}x`) !== undefined)
        return 'must be the beginning of an NQN up to or past its ":", such as "nqn.2024-01.com.example:"';
    return undefined;
}

/**
 * The name of an export's subsystem: readable, and new for each generation, so that a host of a former export can never
 * reach another volume under the name it knows.
 */
export function subsystemName(prefix: string, exportName: string, generation: string): string {
    return `${beginning(prefix, exportName)}${generation.slice(0, GENERATION_DIGITS)}`;
}

/** Whether a name is the one of an export's subsystem, of whatever generation. */
export function isSubsystemOf(prefix: string, exportName: string, name: string): boolean {
    const start = beginning(prefix, exportName);
    return name.startsWith(start) && /^[0-9a-f]+$/.test(name.slice(start.length));
}

function beginning(prefix: string, exportName: string): string {
    return `${prefix}${exportName}:`;
}
