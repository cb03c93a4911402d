import { type Sh, sh } from "../../sh";

/**
 * Copies or zeroes the data of a sparse file, in perl because no other stock tool can ask for a file's data extents and
 * write in place. Holes are neither read nor written; blocks of zeros become holes; every 64 MiB what was written is
 * flushed (so that progress is progress of the disk, and the end is not minutes of flushing) and the bytes done are
 * noted in the report file.
 *
 * Arguments: job (`copy`, `wipe`), path, target (copy), limit in bytes (0: all), report file (or empty).
 */
const PROGRAM = `use strict; use IO::Handle;
my ($job, $path, $to, $limit, $report) = @ARGV;
my ($unit, $flush) = (131072, 67108864);
my $zeros = "\\0" x $unit;
open(my $in, $job eq "wipe" ? "+<" : "<", $path) or die "$path: $!\\n";
my $out;
if ($job eq "copy") { open($out, "+>", $to) or die "$to: $!\\n"; } else { $out = $in; }
my $size = -s $in;
my $end = $limit && $limit < $size ? $limit : $size;
my ($pos, $done, $noted) = (0, 0, 0);
sub note {
    $out->sync or die "flush: $!\\n";
    $noted = $done;
    return if $report eq "";
    # Only told to whoever watches: no reason to fail.
    open(my $file, ">", $report) or return;
    print $file "$done\\n";
    close($file);
}
while ($pos < $end) {
    my $data = sysseek($in, $pos, 3);
    if (!defined $data) { last if $! + 0 == 6; $data = $pos; }
    $data += 0;
    last if $data >= $end;
    my $hole = sysseek($in, $data, 4);
    $hole = defined $hole ? $hole + 0 : $end;
    $hole = $end if $hole > $end || $hole <= $data;
    for ($pos = $data; $pos < $hole; ) {
        my $length = $hole - $pos < $unit ? $hole - $pos : $unit;
        my $buffer = $zeros;
        if ($job eq "copy") {
            defined sysseek($in, $pos, 0) or die "$path: $!\\n";
            $length = sysread($in, $buffer, $length);
            defined $length or die "$path: $!\\n";
            $length > 0 or die "$path: it became shorter\\n";
        }
        if ($job eq "wipe" || $buffer ne substr($zeros, 0, $length)) {
            defined sysseek($out, $pos, 0) or die "seek: $!\\n";
            for (my $written = 0; $written < $length; ) {
                my $count = syswrite($out, $buffer, $length - $written, $written);
                defined $count or die "write: $!\\n";
                $written += $count;
            }
        }
        $pos += $length;
        $done += $length;
        note() if $done - $noted >= $flush;
    }
}
if ($job eq "copy") { truncate($out, $size) or die "$to: $!\\n"; }
note();`;

/** Work up to this many bytes is done within the run; more becomes a unit of its own. */
export const INLINE_BYTES = 64 * 2 ** 20;

/** Copies a file's data to a new file, on disk when it returns. */
export function copyBytes(from: string, to: string, report: string): Sh {
    return sh`perl -e ${PROGRAM} copy ${from} ${to} 0 ${report}`;
}

/** Overwrites a file's data with zeros, on disk when it returns. */
export function wipeBytes(file: string, limitBytes: number, report: string): Sh {
    return sh`perl -e ${PROGRAM} wipe ${file} '' ${limitBytes} ${report}`;
}
