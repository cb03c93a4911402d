/**
 * tgtd's management protocol: one request a connection on a unix socket that only root (tgtd's own user) may use.
 * `tgtadm` speaks it too, but takes CHAP secrets on its command line, where every local user can read them, and costs a
 * process a request. So a small perl program (perl-base is on every Debian) speaks it here, for all requests alike.
 *
 * Source: tgt 1.0.85, usr/tgtadm.h (`struct tgtadm_req`, `enum tgtadm_mode`, `enum tgtadm_op`), usr/tgtadm_error.h.
 */

export const MODE = { target: 1, device: 2, portal: 3, connection: 6, account: 7 } as const;
export const OP = { new: 0, delete: 1, show: 2, bind: 3, unbind: 4, update: 5 } as const;

/** Answers of tgtd that planners know by number. */
export const ANSWER = {
    noTarget: 4,
    noLun: 5,
    lunExists: 10,
    aclExists: 12,
    noAcl: 13,
    userExists: 14,
    noUser: 15,
    outAccountExists: 18,
} as const;

/**
 * Perl, used by observing and changing alike: `request(mode, op, {tid, sid, lun, cid, dir, force}, params)` returns the
 * answer's number and text. No single quotes in here: it travels inside quoted words. Numbers in place of the Socket
 * module (PF_UNIX, SOCK_STREAM; SOL_SOCKET with SO_PEERCRED, 21 on POWER) since loading it took 7 of 13 ms a process.
 */
export const REQUEST = `
use strict;
$SIG{PIPE} = "IGNORE";
my ($control, $pid);
sub request {
    my ($mode, $op, $r, $params) = @_;
    my $body = defined $params ? "$params\\0" : "";
    my $head = pack("LLa64LlQQLLLLLL", $mode, $op, "iscsi", 120 + length $body, $r->{tid} // -1,
        $r->{sid} // 0, $r->{lun} // 0, $r->{cid} // 0, 0, 0, $r->{dir} // 0, 0, $r->{force} // 0);
    my $s;
    socket($s, 1, 1, 0) && connect($s, pack("Sa108", 1, "/var/run/tgtd/socket.$control"))
        or return (-1, "$!");
    $pid //= unpack("i", (grep { length == 12 } map { getsockopt($s, 1, $_) // "" } 17, 21)[0] // pack("i", 0));
    my $out = $head . $body;
    while (length $out) { my $n = syswrite($s, $out) // return (-1, "$!"); substr($out, 0, $n) = "" }
    my $in = "";
    while (my $n = sysread($s, $in, 65536, length $in)) {}
    return (-1, "tgtd closed the connection") if length $in < 8;
    my ($error, $length) = unpack("LL", $in);
    return (-1, "tgtd sent half an answer") if $length > length $in;
    return ($error, substr($in, 8, $length - 8) =~ s/\\0.*//sr);
}`;
