import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const SOURCE = `
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static void wait_a_while(void) {
  const char *ms = getenv("GLASSPOST_SYNC_DELAY_MS");
  long delay = ms ? atol(ms) : 0;
  struct timespec span = { delay / 1000, (delay % 1000) * 1000000 };
  nanosleep(&span, 0);
}
int fdatasync(int fd) { wait_a_while(); return syscall(SYS_fdatasync, fd); }
int fsync(int fd) { wait_a_while(); return syscall(SYS_fsync, fd); }
`

/**
 * Runs Node with a library that makes every fsync and fdatasync of the process slow, in the thread
 * that calls them. Gives its output; undefined where no such library can be made.
 */
export const runWithSlowSync = async (
  directory: string,
  delayMs: number,
  args: readonly string[],
): Promise<string | undefined> => {
  const source = join(directory, 'slow-sync.c')
  const library = join(directory, 'slow-sync.so')
  try {
    await writeFile(source, SOURCE)
    await run('cc', ['-shared', '-fPIC', '-O2', '-o', library, source])
  } catch {
    return undefined
  }
  const env = {
    ...process.env,
    LD_PRELOAD: library,
    GLASSPOST_SYNC_DELAY_MS: String(delayMs),
  }
  const { stdout } = await run(process.execPath, [...args], { env, maxBuffer: 1 << 28 })
  return stdout
}
