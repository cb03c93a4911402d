import { raw, sh } from "../../sh";
import type { ObservedTree } from "../configfs/observe";
import {
    ALUA,
    ALUA_ACCESS,
    BACKSTORE,
    identity,
    INITIATOR,
    LOGICAL_UNIT,
    OF_DEVICE,
    PARAMETERS,
    PORTAL_GROUP,
} from "./attributes";
import type { LioRef } from "./model";

const ATTRIBUTES = [
    "enable",
    "info",
    "vpd_unit_serial",
    ...Object.keys(identity(true)),
    ...Object.keys(ALUA),
    ...Object.keys(ALUA_ACCESS),
    "alua_lu_gp",
    ...Object.keys(LOGICAL_UNIT),
    "alua_tg_pt_gp",
    ...Object.keys(BACKSTORE),
    "emulate_tpu",
    "emulate_tpws",
    "emulate_write_cache",
    "block_size",
    ...OF_DEVICE,
    ...Object.keys(PORTAL_GROUP),
    "authentication",
    "default_cmdsn_depth",
    "prod_mode_write_protect",
    ...Object.keys(PARAMETERS),
    "AuthMethod",
    "dynamic_sessions",
    ...Object.keys(INITIATOR),
    "cmdsn_depth",
    "userid",
    "userid_mutual",
    "write_protect",
];

/** What is read of LIO: our own objects, and with all exports also what others have there. */
export function observed(_target: LioRef, only?: readonly string[]): ObservedTree {
    return {
        root: "target",
        modules: [
            { name: "target_core_mod", shownBy: "/sys/kernel/config/target/core" },
            { name: "iscsi_target_mod", shownBy: "/sys/module/iscsi_target_mod" },
        ],
        choose: raw(
            only === undefined
                ? 'set --; for d in core iscsi; do [ ! -d $d ] || set -- "$@" $d; done'
                : 'set --; for d in $roots; do [ ! -d "$d" ] || set -- "$@" "$d"; done',
        ),
        objects: sh`for d in ${raw(only === undefined ? "core/*/* iscsi/*" : "$roots")}; do
        show "$d" "$d"/alua/*
        for p in "$d"/tpgt_*; do
            [ -d "$p" ] || continue
            show "$p" "$p"/np/* "$p"/lun/* "$p"/lun/*/* "$p"/acls/* "$p"/acls/.[!.]* "$p"/acls/*/lun_* "$p"/acls/*/lun_*/*
        done
    done`,
        attributes: [...new Set(ATTRIBUTES)],
        prune: ["statistics", "fabric_statistics", "discovery_auth"],
        secrets: { of: raw("$roots"), paths: raw('"$d"/tpgt_1/acls/*/auth/password*') },
    };
}
