import { type Sh, sh } from "../../sh";

/**
 * Reads and writes whole devices, in perl because no other stock tool can write only what differs. Every 64 MiB what was
 * written is flushed and the bytes done are noted in the report file.
 *
 * `copy`: all bytes of the source to the target. `differ`: only blocks of 4 KiB that differ, and zeros after the source's
 * end; what is equal already is in no snapshot's way. `zero`: zeros, up to the limit.
 *
 * Arguments: job, source (or empty), target, limit in bytes (0: all), report file (or empty).
 */
const PROGRAM = `use strict; use IO::Handle; use Fcntl;
my ($job, $from, $to, $limit, $report) = @ARGV;
my ($unit, $block, $flush) = (1048576, 4096, 67108864);
my $zeros = "\\0" x $unit;
my $in;
if ($from ne "") { sysopen($in, $from, O_RDONLY) or die "$from: $!\\n"; }
sysopen(my $out, $to, O_RDWR | O_EXCL) or do { print STDERR "$to: $!\\n"; exit($! + 0 == 16 ? 76 : 1); };
my $size = sysseek($out, 0, 2) + 0;
my $source = $in ? sysseek($in, 0, 2) + 0 : 0;
die "$to is smaller than $from\\n" if $source > $size;
my $end = $job eq "copy" ? $source : $size;
$end = $limit if $limit && $limit < $end;
my ($pos, $noted) = (0, 0);
sub note {
    $out->sync or die "flush: $!\\n";
    $noted = $pos;
    return if $report eq "";
    open(my $file, ">", $report) or die "$report: $!\\n";
    print $file "$pos\\n";
    close($file) or die "$report: $!\\n";
}
sub get {
    my ($handle, $at, $length, $path) = @_;
    my ($data, $have) = ("", 0);
    defined sysseek($handle, $at, 0) or die "$path: $!\\n";
    while ($have < $length) {
        my $count = sysread($handle, $data, $length - $have, $have);
        defined $count or die "$path: $!\\n";
        $count > 0 or die "$path: it ended early\\n";
        $have += $count;
    }
    return $data;
}
sub put {
    my ($at, $data) = @_;
    defined sysseek($out, $at, 0) or die "$to: $!\\n";
    for (my $done = 0; $done < length $data; ) {
        my $count = syswrite($out, $data, length($data) - $done, $done);
        defined $count or die "$to: $!\\n";
        $done += $count;
    }
}
while ($pos < $end) {
    my $length = $end - $pos < $unit ? $end - $pos : $unit;
    my $held = $pos >= $source ? 0 : $source - $pos < $length ? $source - $pos : $length;
    my $data = ($held ? get($in, $pos, $held, $from) : "") . substr($zeros, 0, $length - $held);
    if ($job eq "differ") {
        my $now = get($out, $pos, $length, $to);
        if ($now ne $data) {
            for (my $at = 0; $at < $length; $at += $block) {
                my $piece = substr($data, $at, $block);
                put($pos + $at, $piece) if $piece ne substr($now, $at, $block);
            }
        }
    } else {
        put($pos, $data);
    }
    $pos += $length;
    note() if $pos - $noted >= $flush;
}
note();`;

/** Work on so much is done within the run; more becomes a unit of its own. */
export const INLINE_BYTES = 64 * 2 ** 20;

export function copyBytes(from: string, to: string, report: string): Sh {
    return sh`perl -e ${PROGRAM} copy ${from} ${to} 0 ${report}`;
}

export function bringBack(from: string, to: string, report: string): Sh {
    return sh`perl -e ${PROGRAM} differ ${from} ${to} 0 ${report}`;
}

export function zeroBytes(to: string, limitBytes: number, report: string): Sh {
    return sh`perl -e ${PROGRAM} zero '' ${to} ${limitBytes} ${report}`;
}
