@echo off
rem Runs the JBang on the PATH (never this file or a copy of it).
setlocal
set "found="
for /f "delims=" %%J in ('where jbang.cmd jbang.exe 2^>nul') do if not defined found (
    findstr /l /c:"rem Runs the JBang on the PATH" "%%J" >nul || set "found=%%J"
)
if not defined found (
    >&2 echo JBang is not on the PATH: to get it, see https://www.jbang.dev/download
    exit /b 2
)
"%found%" %*
