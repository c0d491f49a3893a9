@echo off
rem Runs the JBang on the PATH (never this file or a copy of it); alone, lists the course.
rem It uses neither "call" nor delayed expansion where there are arguments or paths, as these
rem would change what has a percent sign, a caret or an exclamation mark in it.
setlocal enableextensions disabledelayedexpansion
set "catalog=%~dp0jbang-catalog.json"
set "word=%~1"
if not defined word goto help
set "word=%word:"=%"
for %%W in (help list -h --help) do if "%word%"=="%%W" goto help

set "found="
set "folders=%PATH:"=%"
for %%P in ("%folders:;=" "%") do if not defined found (
    if exist "%%~P\jbang.exe" (
        set "found=%%~P\jbang.exe"
    ) else if exist "%%~P\jbang.cmd" (
        findstr /l /c:"rem Runs the JBang on the PATH" "%%~P\jbang.cmd" >nul 2>nul || set "found=%%~P\jbang.cmd"
    )
)
if not defined found (
    >&2 echo JBang is not on the PATH: to get it, see https://www.jbang.dev/download
    exit /b 2
)

rem JBang looks for aliases from the current folder upwards, so it gets told where ours are.
for /f usebackq^ tokens^=2^,3^ delims^=^" %%A in ("%catalog%") do if "%word%%%B"=="%%A: {" goto alias

set "number=0%word%"
if "%word:~2%"=="" for %%F in ("%~dp0lessons\%number:~-2%_*.java") do (
    >&2 echo There is no such file or command. Did you mean jbang lessons/%%~nxF?
    exit /b 2
)
rem A file, a URL, an option, or a command of JBang goes to JBang.
for /f "delims=abcdefghijklmnopqrstuvwxyz0123456789_-" %%C in ("%word%") do goto run
if "%word:~0,1%"=="-" goto run
if exist "%word%" goto run
for %%W in (alias app build cache catalog completion config docs edit export info init) do if "%word%"=="%%W" goto run
for %%W in (jdk run template trust version wrapper) do if "%word%"=="%%W" goto run
>&2 echo There is no command '%word%'. jbang help lists them all.
exit /b 2

:alias
"%found%" --catalog="%catalog%" %*
exit /b %errorlevel%

:run
"%found%" %*
exit /b %errorlevel%

:help
echo On the Wire: real-time web techniques in Java, a lesson at a time, in this order:
echo.
for /f usebackq^ tokens^=2-4^ delims^=^" %%A in ("%catalog%") do (
    if "%%A%%B"=="grade: {" echo.& echo Its exercises, one for each lesson: begin with watch.& echo.
    if "%%A%%B"=="verify: {" echo.& echo For those who change the course:& echo.
    if "%%B"==": {" set "name=%%A                    "
    if "%%A"=="description" (
        set "what=%%C"
        setlocal enabledelayedexpansion
        echo   jbang !name:~0,20!!what:./jbang=jbang!
        endlocal
    )
)
echo.
echo jbang grade --help tells more of one, README.md of all. Other words go to JBang: jbang run --help
exit /b 0
