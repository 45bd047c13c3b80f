//! The language: what is in it does as in PowerShell, what is not is told before anything runs, and nothing goes on for ever.

mod support;

use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use support::{Bench, test};

#[track_caller]
fn prints(script: &str, expected: &str) {
    assert_eq!(Bench::new().out(script), expected, "{script}");
}

#[test]
fn values_and_operators() {
    test(|| {
        for (script, expected) in [
            ("1 + 2 * 3", "7\n"),
            ("(1 + 2) * 3", "9\n"),
            ("7 / 2; 6 / 2; 7 % 4; -7 % 4", "3.5\n3\n3\n-3\n"),
            ("'a' + 1; 1 + '2'; '5' * 3", "a1\n3\n555\n"),
            ("1kb; 2MB; 0x10; 1e3", "1024\n2097152\n16\n1000\n"),
            ("1..4 -join ','", "1,2,3,4\n"),
            ("(4..1) -join ''", "4321\n"),
            ("'{0:X4} {1,5} {2:D3} {3:N1}' -f 255, 'x', 7, 2.25", "00FF     x 007 2.2\n"),
            ("'Blue' -eq 'blue'; 'Blue' -ceq 'blue'; 5 -gt 3; '10' -lt 9", "True\nFalse\nTrue\nTrue\n"),
            ("1, 2, 3 -contains 2; 2 -in 1, 2; 'x' -notin 1, 2", "True\nTrue\nTrue\n"),
            ("'blue1' -like 'b*1'; 'blue1' -match '^b.+[0-9]$'; 'blue' -replace 'l', 'L'", "True\nTrue\nbLue\n"),
            ("'a,b;c' -split '[,;]' | ForEach-Object { \"<$_>\" }", "<a>\n<b>\n<c>\n"),
            ("$true -and -not $false; $true -xor $true; !0", "True\nFalse\nTrue\n"),
            ("@(1, 5, 3) -gt 2 -join ' '", "5 3\n"),
            ("'5' -is [string]; 5 -is [int]; '5' -as [int]; [int]'7' + 1", "True\nTrue\n5\n8\n"),
            ("6 -band 3; 6 -bor 1; 1 -shl 4", "2\n7\n16\n"),
            ("$null -eq $null; $null -eq 0; @($null).Count; $null.Count", "True\nFalse\n1\n0\n"),
            ("[math]::Max(3, 9); [math]::Floor(2.7); [string]::Join('-', (1, 2))", "9\n2\n1-2\n"),
            (
                "'10.0.0.5'.Split('.')[-1]; ' x '.Trim() + '|'; 'abc'.Substring(1, 1); 'a'.PadLeft(3, '0')",
                "5\nx|\nb\n00a\n",
            ),
        ] {
            prints(script, expected);
        }
    });
}

#[test]
fn texts_and_variables() {
    test(|| {
        for (script, expected) in [
            ("$a = 5; \"a is $a, twice $($a * 2), `$a, `\"q`\", \"\"d\"\"\"", "a is 5, twice 10, $a, \"q\", \"d\"\n"),
            ("'it''s $a'", "it's $a\n"),
            (
                "$h = @{Name = 'x'; List = 1, 2}; \"$($h.Name) $h.Name $($h['list'][1])\"",
                "x System.Collections.Hashtable.Name 2\n",
            ),
            ("$t = @\"\nline $(1 + 1)\n\"two\"\n\"@\n$t", "line 2\n\"two\"\n"),
            ("$t = @'\n$x `n\n'@\n$t", "$x `n\n"),
            ("function P($a, $b) { \"$a|$b\" }; P -a * -b -5; P -b:-3 -a 'x'", "*|-5\nx|-3\n"),
            ("$i = 3; Write-Host 10.0.0.$i; Write-Host net$i/24", "10.0.0.3\nnet3/24\n"),
            ("$a, $b = 1, 2, 3; \"$a|$b\"", "1|2 3\n"),
            ("$a = @(); $a += 'x'; $a += 'y', 'z'; $a.Count; $a[1]; $a[-1]; $a[0..1] -join '+'", "3\ny\nz\nx+y\n"),
            (
                "$h = [ordered]@{}; $h['b'] = 1; $h.a = 2; $h.Keys -join ','; $h.ContainsKey('A'); $h.Remove('b'); $h.Count",
                "b,a\nTrue\n1\n",
            ),
            ("$x = 1; $x++; $x += 3; $x; [string]$n = 5; $n + 1", "5\n51\n"),
            ("${odd name} = 4; ${odd name}", "4\n"),
            ("$o = [pscustomobject]@{A = 1; B = 'two'}; $o.b; $o.A = 9; $o.A", "two\n9\n"),
        ] {
            prints(script, expected);
        }
    });
}

#[test]
fn statements_and_functions() {
    test(|| {
        for (script, expected) in [
            ("for ($i = 0; $i -lt 3; $i++) { $i }", "0\n1\n2\n"),
            ("foreach ($x in 'a', 'b') { if ($x -eq 'a') { continue }; $x }", "b\n"),
            ("$i = 0; while ($true) { $i++; if ($i -gt 3) { break } }; $i", "4\n"),
            ("$i = 0; do { $i++ } until ($i -ge 2); $i; do { $i-- } while ($i -gt 0); $i", "2\n0\n"),
            ("if (1 -gt 2) { 'a' } elseif (2 -gt 1) { 'b' } else { 'c' }", "b\n"),
            ("function Twice([int]$n, $more = 1) { return $n * 2 + $more }; Twice 4; Twice -more 0 -n 5", "9\n10\n"),
            (
                "function F {\n  [CmdletBinding()]\n  param(\n    [Parameter(Mandatory = $true)]\n    [string] $Name,\n    [switch] $On\n  )\n  \"$Name $On\"\n}\nF -Name x -On\nF y",
                "x True\ny False\n",
            ),
            ("$p = @{n = 3}; function D($n) { $n * 2 }; D @p; $q = , 4; D @q", "6\n8\n"),
            ("function Out { 1; 2 }; (Out).Count; $x = Out; $x[1]", "2\n2\n"),
            (
                "[string]::IsNullOrEmpty(' '); [string]::IsNullOrWhiteSpace(' '); [string]::IsNullOrEmpty($null)",
                "False\nTrue\nTrue\n",
            ),
            ("try { throw 'bad' } catch { \"caught $($_.Exception.Message)\" } finally { 'end' }", "caught bad\nend\n"),
            ("$x = if ($true) { 1 } else { 2 }; $x", "1\n"),
            ("& { param($p) \"got $p\" } 5; $b = { 'block' }; & $b", "got 5\nblock\n"),
            ("function Count-Down($n) { if ($n -gt 0) { $n; Count-Down ($n - 1) } }; Count-Down 3", "3\n2\n1\n"),
            ("$x = 1; function Inner { $x = 2; $script:y = 3 }; Inner; \"$x $y\"", "1 3\n"),
            ("Write-Output 'last'; exit 0; 'never'", "last\n"),
        ] {
            prints(script, expected);
        }
    });
}

#[test]
fn pipelines() {
    test(|| {
        for (script, expected) in [
            ("1..5 | Where-Object { $_ % 2 } | ForEach-Object { $_ * 10 }", "10\n30\n50\n"),
            ("1..1000000 | Select-Object -First 2", "1\n2\n"),
            ("'b', 'a', 'C' | Sort-Object; 3, 1, 2 | sort -Descending", "a\nb\nC\n3\n2\n1\n"),
            ("'10.0.0.10', '10.0.0.9' | Sort-Object", "10.0.0.9\n10.0.0.10\n"),
            ("1..4 | % { $_ } | ? { $_ -gt 2 }", "3\n4\n"),
            ("@{n = 1}, @{n = 5} | where n -gt 2 | % { $_.n }", "5\n"),
            ("(1..4 | Measure-Object -Sum).Sum", "10\n"),
            ("'x', 'y', 'x' | Group-Object | % { \"$($_.Name) $($_.Count)\" }", "x 2\ny 1\n"),
            ("1, 2 | % { Write-Host \"a$_\"; $_ } | % { Write-Host \"b$_\" }", "a1\nb1\na2\nb2\n"),
            ("$null = 1, 2; 1 | Out-Null; Write-Output 3 > $null; 4", "4\n"),
            ("[pscustomobject]@{A = 1; B = 'x'}, [pscustomobject]@{A = 20; B = 'yy'}", "\n A B\n - -\n 1 x\n20 yy\n\n"),
            ("[pscustomobject]@{A = 1; B = 'x'} | Format-List", "\nA : 1\nB : x\n\n"),
            ("@{k = 'v'}", "\nName Value\n---- -----\nk    v\n\n"),
            (
                "[pscustomobject]@{A = 1; B = $null; C = 'x', 'y'} | ConvertTo-Json",
                "{\n  \"A\": 1,\n  \"B\": null,\n  \"C\": [\n    \"x\",\n    \"y\"\n  ]\n}\n",
            ),
            ("[pscustomobject]@{A = 1; B = 'q\"'} | ConvertTo-Csv", "\"A\",\"B\"\n\"1\",\"q\"\"\"\n"),
            (
                "@{A = 1; B = 2} | Select-Object A, @{Name = 'Twice'; Expression = { $_.B * 2 }}",
                "\nA Twice\n- -----\n1     4\n\n",
            ),
            ("Get-Command New-NetVirtualizationCustomerRoute | % Name", "New-NetVirtualizationCustomerRoute\n"),
        ] {
            prints(script, expected);
        }
    });
}

#[test]
fn what_is_not_supported_is_told_with_its_place_and_nothing_runs() {
    test(|| {
        for (script, place, word) in [
            ("Write-Host ran\nswitch (1) { 1 { 2 } }", "s.ps1:2:1:", "switch is not supported"),
            ("Write-Host ran\n  class A { }", "s.ps1:2:3:", "class is not supported"),
            ("Write-Host ran; Invoke-WebRequest x", "s.ps1:1:17:", "there is no cmdlet or function Invoke-WebRequest"),
            ("Write-Host ran; Get-VM -Nonsense 5", "s.ps1:1:24:", "Get-VM has no parameter -Nonsense; it has -Name"),
            ("Write-Host ran; $x = [System.IO.File]::ReadAllText('x')", "s.ps1:1:22:", "ReadAllText is not supported"),
            ("Write-Host ran; 'x'.GetType()", "s.ps1:1:17:", "method GetType is not supported"),
            ("Write-Host ran; $Error[0]", "s.ps1:1:17:", "$error, which PowerShell sets by itself, is not supported"),
            ("Write-Host ran; [datetime]$d = 5", "s.ps1:1:17:", "type [datetime] is not supported"),
            ("Write-Host ran > file.txt", "s.ps1:1:16:", "redirection > is not supported"),
            ("Write-Host ran; . ./other.ps1", "s.ps1:1:", "running another file"),
            ("Write-Host ran; function f { process { $_ } }", "s.ps1:1:30:", "begin, process or end"),
            ("Write-Host ran; Get-VM && Get-VM", "s.ps1:1:17:", "&& and || is not supported"),
            ("Write-Host ran\n$x = 5\n-join (1, 2)", "s.ps1:3:7:", "at the beginning of a line"),
            ("Write-Host ran; $x = (1 +", "s.ps1:1:", ""),
            ("Write-Host ran; 'open", "s.ps1:1:", ""),
            ("Write-Host ran; if (1) {", "s.ps1:1:", ""),
        ] {
            let ran = Bench::new().run(script);
            let told = ran.complaints.join("\n");
            assert!(ran.code == 2 && told.starts_with(place) && told.contains(word), "{script}: {told}");
            assert_eq!(ran.out, "", "{script}");
        }
    });
}

#[test]
fn all_mistakes_are_told_at_once() {
    test(|| {
        let told = Bench::new().complaint("Foo\nBar\nGet-VM -Nope\n");
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines.len() == 3 && lines[0].starts_with("s.ps1:1:1:") && lines[2].starts_with("s.ps1:3:8:"), "{told}");
    });
}

#[test]
fn what_goes_wrong_while_it_runs_is_told_with_its_place() {
    test(|| {
        for (script, told) in [
            ("1 / 0", "s.ps1:1:1: nothing can be divided by zero"),
            ("'x' * 3\n'x' - 1", "s.ps1:2:1: \"x\" is no number"),
            ("[int]'abc'", "s.ps1:1:1: \"abc\" cannot be made a number ([int])"),
            ("function f([Parameter(Mandatory)]$n) { $n }; f", "s.ps1:1:46: f: it needs -n"),
            ("function f($n) { $n }; f -m 5", "s.ps1:1:24: f: there is no parameter -m; it has -n"),
            ("$a = @(1); $a[5] = 2", "s.ps1:1:12: there is no element 5; the array has 1"),
            ("throw 'stop here'", "s.ps1:1:1: stop here"),
        ] {
            assert_eq!(Bench::new().complaint(script), told, "{script}");
        }
        // A cmdlet's complaint does not end the script, unless that is said.
        let ran = Bench::new().run("Get-VM -Name nobody; 'on'");
        assert!(ran.code == 1 && ran.out == "on\n" && ran.complaints.len() == 1, "{ran:?}");
        let ran = Bench::new().run("Get-VM -Name nobody -ErrorAction Stop; 'on'");
        assert!(ran.code == 1 && ran.out.is_empty(), "{ran:?}");
        let ran = Bench::new().run("$ErrorActionPreference = 'Stop'; try { Get-VM -Name nobody } catch { 'caught' }");
        assert_eq!((ran.out.as_str(), ran.code), ("caught\n", 0));
        assert_eq!(Bench::new().out("Get-VM -Name nobody -ErrorAction SilentlyContinue; 'on'"), "on\n");
        assert_eq!(Bench::new().run("exit 3").code, 3);
    });
}

#[test]
fn what_is_thrown_goes_to_the_next_catch_outside_or_ends_the_script() {
    test(|| {
        for (script, expected) in [
            ("function f { throw 'bad' }; try { f; 'on' } catch { \"caught $_\" }", "caught bad\n"),
            ("try { 1..2 | % { throw \"bad $_\" }; 'on' } catch { \"caught $_\" }", "caught bad 1\n"),
            ("function f { Get-VM -Name x -ErrorAction Stop; 'on' }; try { f; 'on' } catch { 'caught' }", "caught\n"),
            ("try { 1 | % { Get-VM -Name x -ErrorAction Stop }; 'on' } catch { 'caught' }", "caught\n"),
            // What is wrong with arguments too, in a function that was called there as well.
            ("$how = @{ErrorAction = 'Stop'}; try { Get-VM -Name x @how; 'on' } catch { 'caught' }", "caught\n"),
            ("$ErrorActionPreference = 1; try { Get-VM -Name x; 'on' } catch { 'caught' }", "caught\n"),
            ("try { Start-Sleep -Seconds soon; 'on' } catch { 'caught' }", "caught\n"),
            ("function f([int]$n) { $n }; try { f -n abc; 'on' } catch { 'caught' }", "caught\n"),
            ("function f { Start-Sleep -Seconds soon; 'on' }; try { f; 'on' } catch { 'caught' }", "caught\n"),
            // What is caught can be thrown again.
            ("try { try { throw 'bad' } catch { throw } } catch { \"caught $_\" }", "caught bad\n"),
            ("try { try { throw 'bad' } finally { 'end' } } catch { \"caught $_\" }", "end\ncaught bad\n"),
        ] {
            assert_eq!(Bench::new().out(script), expected, "{script}");
        }
        for script in ["function f { throw 'bad' }; f; 'on'", "1..2 | ForEach-Object { throw 'bad' }; 'on'"] {
            let ran = Bench::new().run(script);
            assert!(ran.code == 1 && ran.out.is_empty() && ran.complaints.len() == 1, "{script}: {ran:?}");
        }
        // Without a try, what is wrong with arguments is told.
        let ran = Bench::new().run("Start-Sleep -Seconds soon; 'on'");
        assert!(ran.code == 1 && ran.out == "on\n" && ran.complaints.len() == 1, "{ran:?}");
    });
}

#[test]
fn what_is_caught_says_what_went_wrong_and_no_more() {
    let script = "try { Get-NetVirtualizationGlobal -CimSession nowhere -ErrorAction Stop } catch { \"$_|$($_.Exception.Message)\" }";
    prints(script, "there is no host \"nowhere\"|there is no host \"nowhere\"\n");
}

#[test]
fn who_mistypes_a_name_is_told_the_right_one() {
    for (script, told) in [
        ("Get-NetVirtualisationLookupRecord", "did you mean Get-NetVirtualizationLookupRecord?"),
        ("Invoke-Something", "\"Get-Command\" lists those that there are"),
    ] {
        let wrong = Bench::new().complaint(script);
        assert!(wrong.contains(told), "{script}: {wrong}");
    }
    let help = Bench::new().out("help");
    assert!(help.contains("Get-Help CMDLET"), "{help}");
}

#[test]
fn what_is_carried_out_can_be_stopped_from_outside() {
    test(|| {
        for script in ["try { while ($true) { } } catch { 'caught' }", "Start-Sleep -Seconds 1000"] {
            let mut bench = Bench::new();
            bench.shell.max_steps = u64::MAX;
            let interrupted = bench.shell.interrupted.clone();
            std::thread::scope(|scope| {
                let (done, ended) = mpsc::channel();
                scope.spawn(move || {
                    let again = || ended.recv_timeout(Duration::from_millis(5));
                    while again() == Err(RecvTimeoutError::Timeout) {
                        interrupted.store(true, Ordering::Relaxed);
                    }
                });
                assert!(bench.complaint(script).ends_with(": stopped"), "{script}");
                done.send(()).unwrap();
            });
        }
    });
}

#[test]
fn a_script_has_parameters() {
    test(|| {
        let script = "param([string]$Nic = 'eth0', [string[]]$Hosts, [switch]$Clean)\n\"$Nic $($Hosts.Count) $Clean\"";
        let mut bench = Bench::new();
        for (arguments, expected) in [
            (&[][..], "eth0 0 False\n"),
            (&["-Nic", "eth1", "-Clean"], "eth1 0 True\n"),
            (&["eth2", "-Hosts", "H1,H2"], "eth2 2 False\n"),
            (&["-Clean:$false", "-Hosts:H1"], "eth0 1 False\n"),
            (&["-Nic", "-5"], "-5 0 False\n"),
        ] {
            let ran = bench.run_with(script, arguments);
            assert_eq!(ran.out, expected, "{arguments:?}: {ran:?}");
        }
        for arguments in [&["-Nic"][..], &["-Nic", "-Clean"]] {
            let ran = bench.run_with(script, arguments);
            assert!(ran.out.is_empty() && ran.code == 1, "{ran:?}");
            assert!(ran.complaints[0].contains("the script: -Nic has no argument; give it one"), "{ran:?}");
        }
        let ran = bench.run_with(script, &["-Nope", "5"]);
        assert!(
            ran.complaints[0].contains("the script: there is no parameter -Nope; it has -Nic, -Hosts, -Clean"),
            "{ran:?}"
        );
    });
}

#[test]
fn endless_loops_deep_nesting_and_growth_are_bounded() {
    test(|| {
        let bounded = |script: &str, word: &str| {
            let mut bench = Bench::new();
            bench.shell.max_steps = 200_000;
            let told = bench.complaint(script);
            assert!(told.contains(word), "{script}: {told}");
        };
        for script in [
            "while ($true) { }",
            "for (;;) { }",
            "do { $x++ } while ($true)",
            "try { while ($true) { } } catch { 'caught' }",
            "1..1000000 | ForEach-Object { $_ } | Out-Null",
            "$a = 1, 2; while ($true) { $a = $a + $a }",
        ] {
            bounded(script, "has taken 200000 steps");
        }
        bounded("function f { f }; f", "stand in each other");
        bounded("$s = 'x' * 1000; while ($true) { $s = $s + $s }", "has taken 200000 steps");
        bounded("'x' * 99999999", "a text in bytes");
        bounded("1..99999999", "an array of elements");
        let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
        bounded(&deep, "nested too deeply");
        let blocks = format!("{}1{}", "if (1) { ".repeat(5000), "}".repeat(5000));
        bounded(&blocks, "nested too deeply");
    });
}

#[test]
fn a_script_of_a_million_lines_is_read_and_carried_out() {
    test(|| {
        let script = "$x = 1\n".repeat(1_000_000) + "$x";
        assert_eq!(Bench::new().out(&script), "1\n");
    });
}
