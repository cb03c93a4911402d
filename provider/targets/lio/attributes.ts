/**
 * Attributes that every export has alike, by the directory they are in. They are the kernel's own defaults (Linux 6.12)
 * save where a comment says why not; what an older kernel does not have is passed over.
 */
type Attributes = Readonly<Record<string, string>>;

/** `core/<hba>/<name>/attrib`, beside those that follow from the declaration (discard, write cache, block size). */
export const BACKSTORE: Attributes = {
    alua_support: "1",
    emulate_3pc: "1",
    emulate_caw: "1",
    emulate_dpo: "1",
    emulate_fua_read: "1",
    emulate_fua_write: "1",
    emulate_model_alias: "0",
    emulate_pr: "1",
    emulate_rest_reord: "0",
    emulate_rsoc: "1",
    emulate_tas: "1",
    emulate_ua_intlck_ctrl: "0",
    enforce_pr_isids: "1",
    force_pr_aptpl: "0",
    pgr_support: "1",
    pi_prot_type: "0",
    pi_prot_verify: "0",
    submit_type: "0",
    unmap_zeroes_data: "0",
};

/** Of the backstore, those that the kernel does not let anybody change while a target has it. */
export const FIXED: ReadonlySet<string> = new Set([
    "alua_support",
    "block_size",
    "emulate_model_alias",
    "emulate_rest_reord",
    "emulate_tas",
    "emulate_ua_intlck_ctrl",
    "emulate_write_cache",
    "force_pr_aptpl",
    "optimal_sectors",
    "pi_prot_type",
    "queue_depth",
    "unmap_zeroes_data",
]);

/** `core/<hba>/<name>/wwn`, beside the serial number: as what the disk shows itself. Fixed as those above. */
export function identity(file: boolean): Attributes {
    return {
        company_id: "0x001405",
        product_id: file ? "FILEIO" : "IBLOCK",
        revision: "4.0",
        vendor_id: "LIO-ORG",
    };
}

/** Target port group in which every LUN begins; `core/<hba>/<name>/alua/<group>`. */
export const ALUA_GROUP = "default_tg_pt_gp";

/** Of that group. */
export const ALUA: Attributes = {
    alua_support_active_nonoptimized: "1",
    alua_support_active_optimized: "1",
    alua_support_lba_dependent: "0",
    alua_support_offline: "1",
    alua_support_standby: "1",
    alua_support_transitioning: "1",
    alua_support_unavailable: "1",
    alua_write_metadata: "0",
    implicit_trans_secs: "0",
    nonop_delay_msecs: "100",
    preferred: "0",
    trans_delay_msecs: "0",
};

/**
 * Of that group, those that depend on each other and on the ones above. `alua_access_status` says no more than that the
 * state was once changed, also by an initiator (SET TARGET PORT GROUPS).
 */
export const ALUA_ACCESS = {
    /** As it is shown; written it is a 3. */
    alua_access_type: "Implicit and Explicit",
    alua_access_state: "0",
};

/** Group of units in which every backstore begins; `core/<hba>/<name>/alua_lu_gp`. */
export const UNIT_GROUP = "default_lu_gp";

/** `iscsi/<target>/tpgt_1/lun/lun_0`, beside the group. To write the second changes the third. */
export const LOGICAL_UNIT: Attributes = {
    alua_tg_pt_write_md: "0",
    alua_tg_pt_offline: "0",
    alua_tg_pt_status: "0",
};

/** Of the backstore, those that the kernel takes from the device as it opens it; they are noted then. */
export const OF_DEVICE: readonly string[] = [
    "is_nonrot",
    "max_unmap_block_desc_count",
    "max_unmap_lba_count",
    "max_write_same_len",
    "optimal_sectors",
    "queue_depth",
    "unmap_granularity",
    "unmap_granularity_alignment",
];

/** `iscsi/<target>/tpgt_1/attrib`, beside `authentication`, `default_cmdsn_depth` and `prod_mode_write_protect`. */
export const PORTAL_GROUP: Attributes = {
    cache_dynamic_acls: "0",
    default_erl: "0",
    // Nobody but those who may log in is told of the target (the kernel's default is 1).
    demo_mode_discovery: "0",
    demo_mode_write_protect: "1",
    fabric_prot_type: "0",
    generate_node_acls: "0",
    login_keys_workaround: "1",
    login_timeout: "15",
    t10_pi: "0",
    tpg_enabled_sendtargets: "1",
};

/** `iscsi/<target>/tpgt_1/param`, beside `AuthMethod`. */
export const PARAMETERS: Attributes = {
    DataDigest: "CRC32C,None",
    DataPDUInOrder: "Yes",
    DataSequenceInOrder: "Yes",
    DefaultTime2Retain: "20",
    DefaultTime2Wait: "2",
    ErrorRecoveryLevel: "0",
    FirstBurstLength: "65536",
    HeaderDigest: "CRC32C,None",
    IFMarkInt: "Reject",
    IFMarker: "No",
    ImmediateData: "Yes",
    InitialR2T: "Yes",
    MaxBurstLength: "262144",
    MaxConnections: "1",
    MaxOutstandingR2T: "1",
    MaxRecvDataSegmentLength: "8192",
    MaxXmitDataSegmentLength: "262144",
    OFMarkInt: "Reject",
    OFMarker: "No",
    TargetAlias: "LIO Target",
};

/** `iscsi/<target>/tpgt_1/acls/<initiator>/attrib`. */
export const INITIATOR: Attributes = {
    // -1: as the portal group has it.
    authentication: "-1",
    dataout_timeout: "3",
    dataout_timeout_retries: "5",
    default_erl: "0",
    nopin_response_timeout: "30",
    nopin_timeout: "15",
    random_datain_pdu_offsets: "0",
    random_datain_seq_offsets: "0",
    random_r2t_offsets: "0",
};
