import { lines, raw, type Sh, sh } from "../../sh";
import { bootFile, noteApplied, placeOf } from "../boot";
import { noteFile, noteFunction } from "../configfs/notes";
import { activate, enter, MAKING, mayAll, TAKING } from "../configfs/shell";
import { normalizeIscsiName } from "../iqn";
import type { ExportWanted, Initiator } from "../types";
import {
    ALUA,
    ALUA_ACCESS,
    ALUA_GROUP,
    BACKSTORE,
    identity,
    INITIATOR,
    LOGICAL_UNIT,
    OF_DEVICE,
    PARAMETERS,
    PORTAL_GROUP,
} from "./attributes";
import { groupOf, isFile, LINK, type LioDeclared, type LioRef, LUN } from "./model";
import { copies, DISCONNECT } from "./take";

export const ROOT = "/sys/kernel/config/target";
const LUN_DIRECTORY = `lun_${String(LUN)}`;

/**
 * The body of a boot file: makes everything that is not there, and writes what differs, taking nothing away. The unit's
 * identity and properties are set before anybody can reach it, credentials before the portal group lets anybody in.
 */
export function body(target: LioRef, want: ExportWanted, declared: LioDeclared): Sh {
    const group = groupOf(declared);
    const lun = `${group}/lun/${LUN_DIRECTORY}`;
    const initiators = want.initiators.map((one) => ({ ...one, name: normalizeIscsiName(one.name) }));
    const chap = initiators.some((initiator) => initiator.chap !== undefined);
    const directories = [
        declared.backstore.replace(/\/[^/]*$/, ""),
        declared.backstore,
        "iscsi",
        declared.target,
        group,
        lun,
        ...declared.listen.map((portal) => `${group}/np/${portal}`),
        ...initiators.flatMap(({ name }) => [
            `${group}/acls/${name}`,
            `${group}/acls/${name}/${LUN_DIRECTORY}`,
        ]),
    ];
    return lines(
        MAKING,
        SECRET,
        noteFunction(target, want.name, isFile(declared) ? undefined : FROM_LIO),
        sh`l= device=${declared.devicePath} s=${declared.backstore} p=${group}`,
        activate(want.activation),
        sh`[ ${raw(isFile(declared) ? "-f" : "-b")} "$device" ] || fail "there is no ${raw(isFile(declared) ? "file" : "block device")} at $device"`,
        enter(ROOT, ["target_core_mod"]),
        replaceCopies(declared),
        sh`make ${directories} || exit`,
        openDevice(declared),
        deviceAttributes(target, want.name),
        attributes(declared),
        sh`[ -L "$p"/lun/${LUN_DIRECTORY}/${LINK} ] || ln -s ${ROOT}/"$s" "$p"/lun/${LUN_DIRECTORY}/${LINK} || exit`,
        reach(),
        mayAll(raw(`"$p"/attrib`), groupAttributes(declared, chap)),
        mayAll(raw(`"$p"/param`), { ...PARAMETERS, AuthMethod: authMethod(chap) }),
        ...initiators.map((initiator) => access(initiator, declared)),
        sh`write "$p/enable" 1`,
        noteApplied(bootFile(placeOf(target, want.name))),
    );
}

/**
 * At boot it takes the place of its copy. Else nobody is cut off: those on the copy have been told of, and it is free. What
 * has never been made before has none; to look takes longer the more adapters there are.
 */
function replaceCopies(declared: LioDeclared): Sh {
    return sh`${TAKING}
${DISCONNECT}
${copies(declared)}
replace() {
    if [ -n "$BLOCKHOST_LINKS" ]; then
        disconnect "$p"
    fi
    drop || fail "LIO has it once more as $o, which is in use: take that away with targetcli"
}
[ -n "$BLOCKHOST_FRESH" ] || copies replace`;
}

function openDevice(declared: LioDeclared): Sh {
    const file = isFile(declared);
    const size = raw(`v=$(stat -L -c %s -- "$device") || exit`);
    const options = file
        ? sh`"fd_dev_name=$device,fd_dev_size=$v${raw(declared.writeCache ? ",fd_buffered_io=1" : "")}"`
        : sh`"udev_path=$device,readonly=${declared.readOnly ? 1 : 0}"`;
    // Opened once, LIO serves what it has open; of a file it learns the size in this way alone.
    const grow = sh`
else
    ${size}
    while read -r k; do case $k in *" Size: $v "*) v= ;; esac; done < "$s/info"
    [ -z "$v" ] || printf %s "fd_dev_size=$v" > "$s/control" || fail "LIO does not take the new size of $device"`;
    return sh`v=; IFS= read -r v < "$s/enable"
if [ "$v" != 1 ]; then
    ${file ? size : raw(":")}
    printf %s ${options} > "$s/control" && printf %s "$device" > "$s/udev_path" &&
    printf %s ${declared.serial} > "$s/wwn/vpd_unit_serial" &&
    ${file ? raw('note && printf 1 > "$s/enable"') : raw('forget && printf 1 > "$s/enable" && note')} ||
        fail "LIO cannot open $device: it may be mounted, or something else may have it open"${
            declared.blockSize === undefined
                ? raw("")
                : sh`\n    write "$s/attrib/block_size" ${declared.blockSize}`
        }${file ? grow : raw("")}
fi`;
}

/** LIO says which block device it has opened. */
const FROM_LIO = raw(
    `{ read -r v; read -r v; read -r v major v minor v; } < "$s/info" && echo "block $major:$minor 0 $device"`,
);

/** What the kernel took from the device when it opened it is noted once, and put back where it was changed. */
function deviceAttributes(target: LioRef, name: string): Sh {
    const note = noteFile(target, name);
    return sh`[ -s ${note} ] || note
{ read -r v; while read -r k v; do may "$s/attrib/$k" "$v"; l=1; done; } < ${note}
[ -n "$l" ] || for k in ${[...OF_DEVICE]}; do v=; [ ! -e "$s/attrib/$k" ] || read -r v < "$s/attrib/$k"; [ -z "$v" ] || echo "$k $v"; done >> ${note}`;
}

/** Discard can be offered only where the device has it. */
function attributes(declared: LioDeclared): Sh {
    const discard = declared.discard ? 1 : 0;
    return lines(
        mayAll(raw(`"$s"/attrib`), BACKSTORE),
        mayAll(raw(`"$s"/wwn`), identity(isFile(declared))),
        isFile(declared) ? sh`may "$s/attrib/emulate_write_cache" ${declared.writeCache ? 1 : 0}` : undefined,
        sh`d=0 v=; IFS= read -r v < "$s/attrib/max_unmap_block_desc_count"; [ "$v" = 0 ] || d=${discard}
may "$s/attrib/emulate_tpu" $d; may "$s/attrib/emulate_tpws" $d`,
    );
}

/** What keeps initiators from a unit that they are shown. */
function reach(): Sh {
    return lines(
        sh`g="$s"/alua/${ALUA_GROUP} v=; { read -r v < "$g/alua_access_type"; } 2>/dev/null
[ -z "$v" ] || [ "$v" = ${ALUA_ACCESS.alua_access_type} ] || write "$g/alua_access_type" 3`,
        mayAll(raw(`"$g"`), ALUA),
        sh`v=; { read -r v < "$g/alua_access_state"; } 2>/dev/null
[ -z "$v" ] || [ "$v" = ${ALUA_ACCESS.alua_access_state} ] || { write "$g/alua_access_state" ${ALUA_ACCESS.alua_access_state}; write "$g/alua_access_status" 0; }`,
        sh`u="$p"/lun/${LUN_DIRECTORY} v=; { read -r v < "$u/alua_tg_pt_gp"; } 2>/dev/null
[ -z "$v" ] || [ "\${v##*: }" = ${ALUA_GROUP} ] || printf %s ${ALUA_GROUP} > "$u/alua_tg_pt_gp" || fail "LIO does not take the LUN back into its group"`,
        mayAll(raw(`"$u"`), LOGICAL_UNIT),
    );
}

/** `prod_mode_write_protect` is how a LUN begins that is shown to an initiator. */
export function groupAttributes(declared: LioDeclared, chap: boolean): Record<string, string> {
    return {
        ...PORTAL_GROUP,
        authentication: chap ? "1" : "0",
        default_cmdsn_depth: String(declared.queueDepth),
        prod_mode_write_protect: declared.readOnly ? "1" : "0",
    };
}

export function authMethod(chap: boolean): string {
    return chap ? "CHAP" : "CHAP,None";
}

/** "NULL" is LIO's word for a secret that is not set. */
const SECRET = raw(`secret() {
    v=; IFS= read -r v < "$a/auth/$1"
    [ "$v" != NULL ] || v=
    [ "$v" = "$2" ] || printf %s "\${2:-NULL}" > "$a/auth/$1" || fail "LIO does not take the credentials of \${a##*/}"
}`);

/** An initiator's entry. */
function access({ name, chap, mutualChap }: Initiator, declared: LioDeclared): Sh {
    return lines(
        sh`a="$p"/acls/${name}`,
        sh`secret userid ${chap?.username ?? ""}; secret password ${chap?.password ?? ""}`,
        sh`secret userid_mutual ${mutualChap?.username ?? ""}; secret password_mutual ${mutualChap?.password ?? ""}`,
        mayAll(raw(`"$a"/attrib`), INITIATOR),
        sh`may "$a/cmdsn_depth" ${declared.queueDepth}`,
        sh`[ -L "$a"/${LUN_DIRECTORY}/${LINK} ] || ln -s ${ROOT}/"$p"/lun/${LUN_DIRECTORY} "$a"/${LUN_DIRECTORY}/${LINK} || exit`,
        sh`write "$a"/${LUN_DIRECTORY}/write_protect ${declared.readOnly ? 1 : 0}`,
    );
}
