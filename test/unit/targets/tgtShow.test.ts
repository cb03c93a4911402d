import { describe, expect, test } from "vitest";
import {
    parseAccounts,
    parsePortals,
    parseTargets,
    shownMegabytes,
} from "../../../provider/targets/tgt/show";

/** Captured from tgtd 1.0.85 with two targets, one of them with two sessions. */
const SHOW = `Target 1: iqn.2010-10.org.blockhost:pg:01234567
    System information:
        Driver: iscsi
        State: ready
    I_T nexus information:
        I_T nexus: 2
            Initiator: iqn.2024-01.com.example:client alias: none
            Connection: 0
                IP Address: 127.0.0.1
        I_T nexus: 3
            Initiator: iqn.2024-01.com.example:other alias: db two alias: x
            Connection: 0
                IP Address: fd00::5
    LUN information:
        LUN: 0
            Type: controller
            SCSI ID: IET     00010000
            SCSI SN: beaf10
            Size: 0 MB, Block size: 1
            Online: Yes
            Removable media: No
            Prevent removal: No
            Readonly: No
            SWP: No
            Thin-provisioning: No
            Backing store type: null
            Backing store path: None
            Backing store flags: 
        LUN: 1
            Type: disk
            SCSI ID: 6ade8a5a5c91e3af15bfc6e9a473b6ed
            SCSI SN: 0123456789abcdef
            Size: 17 MB, Block size: 512
            Online: Yes
            Removable media: No
            Prevent removal: No
            Readonly: Yes
            SWP: No
            Thin-provisioning: Yes
            Backing store type: rdwr
            Backing store path: /srv/my pool/pg: data.img
            Backing store flags: sync direct
    Account information:
        alice
        the-target (outgoing)
    ACL information:
        10.0.0.0/24
        iqn.2024-01.com.example:client
Target 7: iqn.2001-04.com.example:other
    System information:
        Driver: iscsi
        State: offline
        Nop interval: 5
        Nop count: 5
    I_T nexus information:
    LUN information:
        LUN: 0
            Type: controller
            SCSI ID: IET     00070000
            SCSI SN: beaf70
            Size: 0 MB, Block size: 1
            Online: Yes
            Removable media: No
            Prevent removal: No
            Readonly: No
            SWP: No
            Thin-provisioning: No
            Backing store type: null
            Backing store path: None
            Backing store flags: 
    Account information:
    ACL information:`;

describe("the list of targets", () => {
    test("is read whole", () => {
        const [one, two, ...more] = parseTargets(SHOW.split("\n"));
        expect(more).toEqual([]);
        expect(one).toMatchObject({
            tid: 1,
            name: "iqn.2010-10.org.blockhost:pg:01234567",
            driver: "iscsi",
            state: "ready",
            sessions: [
                { initiator: "iqn.2024-01.com.example:client", address: "127.0.0.1" },
                { initiator: "iqn.2024-01.com.example:other", address: "fd00::5" },
            ],
            incoming: ["alice"],
            outgoing: "the-target",
            acl: ["10.0.0.0/24", "iqn.2024-01.com.example:client"],
        });
        expect(one?.units[1]).toEqual({
            lun: 1,
            type: "disk",
            scsiId: "6ade8a5a5c91e3af15bfc6e9a473b6ed",
            serial: "0123456789abcdef",
            megabytes: 17,
            blockSize: 512,
            online: true,
            removable: false,
            readOnly: true,
            thin: true,
            storeType: "rdwr",
            path: "/srv/my pool/pg: data.img",
            flags: "sync direct",
        });
        expect(two).toMatchObject({ tid: 7, state: "offline", sessions: [], incoming: [], acl: [] });
        expect(two?.outgoing).toBeUndefined();
    });

    test("is refused when an initiator's alias makes up targets", () => {
        const forged = SHOW.replace("alias: none", "alias: x\nTarget 7: iqn.2001-04.com.example:other");
        expect(() => parseTargets(forged.split("\n"))).toThrow(RangeError);
        const before = SHOW.replace("alias: none", "alias: x\nTarget 1: iqn.2001-04.com.example:forged");
        expect(() => parseTargets(before.split("\n"))).toThrow(RangeError);
    });

    test("of an idle daemon is empty", () => {
        expect(parseTargets([])).toEqual([]);
    });
});

test("accounts and portals are read", () => {
    expect(parseAccounts(["Account list:", "    alice", "    the-target"])).toEqual(["alice", "the-target"]);
    expect(parseAccounts([])).toEqual([]);
    expect(parsePortals(["Portal: [::]:3260,1", "Portal: 0.0.0.0:3260,1"])).toEqual([
        "[::]:3260",
        "0.0.0.0:3260",
    ]);
});

test.each([
    [0, 0],
    [512, 0],
    [1024 * 1024, 1],
    [16 * 1024 * 1024, 17],
    [64 * 1024 * 1024, 67],
    [10 * 1024 ** 3, 10737],
])("%i bytes are shown as %i MB", (bytes, megabytes) => {
    expect(shownMegabytes(bytes)).toBe(megabytes);
});
