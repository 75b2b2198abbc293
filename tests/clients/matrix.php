<?php
// What the PHP programs of the matrix share: the servers, unique keys, and a line a check.
error_reporting(E_ALL & ~E_DEPRECATED);
set_error_handler(fn($level, $text) => !str_contains($text, 'undefined')); // clients warn of what they also return

define('SERVERS', array_map(fn($a) => [substr($a, 0, strrpos($a, ':')), (int)substr($a, strrpos($a, ':') + 1)],
    explode(',', getenv('MATRIX_SERVERS'))));
define('DEAD', explode(':', getenv('MATRIX_DEAD')));
define('PATH', getenv('MATRIX_PATH'));
define('PROTOCOL', getenv('MATRIX_PROTOCOL'));
define('BRIEF_S', 3); // as in harness.py
define('UNTIL_GONE_US', 4100000);

function key_of(string $word = 'key'): string
{
    static $count = 0;
    return "$word-" . $count++;
}

function keys_of(int $count, string $word = 'key'): array
{
    return array_map(fn() => key_of($word), range(1, $count));
}

function equal($got, $wanted): void
{
    if ($got !== $wanted) {
        throw new Exception('got ' . substr(json_encode($got) ?: '?', 0, 150) . ', wanted ' .
            substr(json_encode($wanted) ?: '?', 0, 150) . ' in line ' . debug_backtrace()[0]['line']);
    }
}

function yes($value): void
{
    if (!$value) {
        throw new Exception('got ' . json_encode($value) . ' in line ' . debug_backtrace()[0]['line']);
    }
}

// The items that one server holds, asked in text: how many of the keys.
function held(array $server, array $keys): int
{
    $connection = fsockopen($server[0], $server[1], $code, $text, 5);
    fwrite($connection, 'get ' . implode(' ', $keys) . "\r\n");
    for ($count = 0; ($line = fgets($connection)) !== "END\r\n" && $line !== false;) {
        $count += str_starts_with($line, 'VALUE ');
    }
    fclose($connection);
    return $count;
}

function run(array $checks): void
{
    foreach ($checks as $name => $check) {
        try {
            $check();
            fwrite(STDOUT, "ok $name\n"); // not echo: sessions want nothing to be printed before them
        } catch (Throwable $problem) {
            fwrite(STDOUT, "FAIL $name: " . preg_replace('/\s+/', ' ', $problem->getMessage()) . "\n");
        }
    }
}
