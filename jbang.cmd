@echo off
rem Runs the JBang on the PATH (never this file or a copy of it); alone, lists the course.
setlocal
if "%~1"=="" goto help
for %%W in (help list -h --help) do if "%~1"=="%%W" goto help
set "found="
for /f "delims=" %%J in ('where jbang.cmd jbang.exe 2^>nul') do if not defined found (
    findstr /l /c:"rem Runs the JBang on the PATH" "%%J" >nul || set "found=%%J"
)
if not defined found (
    >&2 echo JBang is not on the PATH: to get it, see https://www.jbang.dev/download
    exit /b 2
)
"%found%" %*
exit /b %errorlevel%

:help
setlocal enabledelayedexpansion
echo On the Wire: real-time web techniques in Java, a lesson at a time, in this order:
echo.
for /f usebackq^ tokens^=2^,4^ delims^=^" %%A in ("%~dp0jbang-catalog.json") do (
    if "%%A"=="description" (
        echo   jbang !name!: %%B
    ) else if not "%%A"=="script-ref" set "name=%%A"
)
echo.
echo README.md tells more of all. Other words go to JBang: jbang run --help
exit /b 0
