import type * as pulumi from "@pulumi/pulumi";

/** Classes of change that may be carried out on a resource; see docs/volumes.md. */
export type Allow = "session-drop" | "offline" | "data-loss";

/** A pool of an inline host. The driver adds options of its own (docs/configuration.md). */
export interface PoolArgs {
    driver: pulumi.Input<string>;
    maxOverSubscriptionRatio?: pulumi.Input<number | "auto">;
    reservedPercentage?: pulumi.Input<number>;
    [option: string]: unknown;
}

/** How initiators reach volumes of an inline host over one protocol. */
export interface TargetArgs {
    helper: pulumi.Input<string>;
    portals: pulumi.Input<pulumi.Input<string>[]>;
    [option: string]: unknown;
}

/**
 * A storage host given inline, so that its address can be another resource's output. The same as under
 * `blockhost:hosts` in the stack's configuration, and its name. Secrets have no place here: name environment variables.
 */
export interface HostArgs {
    /** Name for ids and errors. */
    name: pulumi.Input<string>;
    /** Host name, IP address, alias of `~/.ssh/config`, or `local`. */
    address: pulumi.Input<string>;
    port?: pulumi.Input<number>;
    user?: pulumi.Input<string>;
    sudo?: pulumi.Input<boolean>;
    hostKey?: pulumi.Input<string | string[]>;
    knownHostsFile?: pulumi.Input<string>;
    privateKeyFile?: pulumi.Input<string>;
    privateKeyEnv?: pulumi.Input<string>;
    passphraseEnv?: pulumi.Input<string>;
    passwordEnv?: pulumi.Input<string>;
    /** Milliseconds until a connection attempt fails. */
    connectTimeout?: pulumi.Input<number>;
    /** Most shells kept open at once. */
    maxSessions?: pulumi.Input<number>;
    /** Hosts to go through, outermost first; the same connection properties as here. */
    jump?: pulumi.Input<pulumi.Input<Omit<HostArgs, "name" | "jump" | "pools" | "targets">>[]>;
    stateDirectory?: pulumi.Input<string>;
    lockTimeout?: pulumi.Input<number>;
    /** How often an operation is tried when trying again may help. */
    tries?: pulumi.Input<number>;
    readOnly?: pulumi.Input<boolean>;
    protect?: pulumi.Input<boolean>;
    decommissioned?: pulumi.Input<boolean>;
    pools?: pulumi.Input<Record<string, pulumi.Input<PoolArgs>>>;
    targets?: pulumi.Input<Partial<Record<"iscsi" | "nvme-tcp", pulumi.Input<TargetArgs>>>>;
}

/** Name of a host in `blockhost:hosts`, or a host given inline. */
export type Host = pulumi.Input<string | HostArgs>;

/** CHAP credentials. */
export interface ChapArgs {
    username: pulumi.Input<string>;
    /** 12 bytes at least; kept secret in state whatever it comes from. */
    password: pulumi.Input<string>;
}

/** Keys of NVMe in-band authentication (DH-HMAC-CHAP), in the form `DHHC-1:…:`; kept secret in state. */
export interface DhchapArgs {
    /** What the host has to prove; from `nvme gen-dhchap-key`, or {@link dhchapKey}. */
    key: pulumi.Input<string>;
    /** What the controller proves to the host (bidirectional authentication). */
    controllerKey?: pulumi.Input<string>;
}

/** An initiator that may log in. */
export interface InitiatorArgs {
    /** iSCSI qualified name. */
    iqn?: pulumi.Input<string>;
    /** NVMe qualified name, for `nvme-tcp`. */
    nqn?: pulumi.Input<string>;
    /** What the initiator has to prove. */
    chap?: pulumi.Input<ChapArgs>;
    /** What the target proves to the initiator. */
    mutualChap?: pulumi.Input<ChapArgs>;
    /** NVMe in-band authentication, for `nvme-tcp`. A host has the same keys in all exports to it. */
    dhchap?: pulumi.Input<DhchapArgs>;
}

/** Connection properties in os-brick's form. */
export interface Connection {
    driver_volume_type: "iscsi" | "nvmeof";
    data: Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any -- os-brick's own open form
}
