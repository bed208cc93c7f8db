"""Tests of convert.py on an invented workbook: python3 -m unittest (in this folder)."""

import contextlib
import io
import os
import sys
import tempfile
import unittest
import zipfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import convert

NAMES = ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country"]
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def sheet(rows, texts):
    """A sheet's XML; texts become shared ones, `None` an absent cell."""
    lines = []
    for number, row in enumerate(rows, 1):
        cells = []
        for place, value in enumerate(row):
            reference = f'{"ABCDEFGH"[place]}{number}'
            if isinstance(value, str):
                texts.append(value)
                cells.append(f'<c r="{reference}" t="s"><v>{len(texts) - 1}</v></c>')
            elif value is not None:
                cells.append(f'<c r="{reference}"><v>{value!r}</v></c>')
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    return f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'


def workbook(sheets):
    texts, bytes_ = [], io.BytesIO()
    with zipfile.ZipFile(bytes_, "w") as book:
        relations, listed = "", ""
        for number, rows in enumerate(sheets, 1):
            book.writestr(f"xl/worksheets/sheet{number}.xml", sheet(rows, texts))
            relations += f'<Relationship Id="rId{number}" Target="worksheets/sheet{number}.xml"/>'
            listed += f'<sheet name="s{number}" sheetId="{number}" r:id="rId{number}"/>'
        book.writestr("xl/_rels/workbook.xml.rels", f"<Relationships>{relations}</Relationships>")
        book.writestr("xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>')
        shared = "".join(f"<si><t>{text.replace('&', '&amp;')}</t></si>" for text in texts)
        book.writestr("xl/sharedStrings.xml", f'<sst xmlns="{MAIN}">{shared}</sst>')
    return bytes_.getvalue()


def converted(path, *arguments):
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    before = sys.argv
    try:
        sys.argv = ["convert.py", path, *arguments]
        with contextlib.redirect_stdout(out):
            convert.main()
        out.flush()
        return out.buffer.getvalue().decode().splitlines()
    finally:
        sys.argv = before


class Convert(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        first = [NAMES, [489434, "85048", "15CM GLASS BALL & LIGHTS", 12, 40148.322916666664, 6.9500000000000002, 13085.0, "United Kingdom"]]
        second = [NAMES, ["C489449", 22087, None, -12.0, 40148.5, 2.95, None, "Australia"], first[1]]
        self.book = workbook([first, second])

    def file(self, name, content):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def test_all_sheets_of_a_workbook_and_their_common_invoices_once(self):
        with contextlib.redirect_stderr(io.StringIO()) as told:
            lines = converted(self.file("retail.xlsx", self.book))
        self.assertIn("1 lines", told.getvalue())
        self.assertEqual(lines[0], "invoice\tstock_code\tdescription\tquantity\tts\tprice\tcustomer_id\tcountry")
        self.assertEqual(lines[1], "489434\t85048\t15CM GLASS BALL & LIGHTS\t12\t2009-12-01T07:45:00\t6.95\t13085\tUnited Kingdom")
        self.assertEqual(lines[2], "C489449\t22087\t\t-12\t2009-12-01T12:00:00\t2.95\t\tAustralia")
        self.assertEqual(len(lines), 3)

    def test_one_sheet_inside_the_archive_as_it_is_downloaded(self):
        outer = io.BytesIO()
        with zipfile.ZipFile(outer, "w") as archive:
            archive.writestr("online_retail_II.xlsx", self.book)
        lines = converted(self.file("online+retail+ii.zip", outer.getvalue()), "--sheet", "2")
        self.assertEqual([line.split("\t")[0] for line in lines], ["invoice", "C489449", "489434"])

    def test_the_first_edition_as_csv(self):
        text = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n536365,85123A,\"WHITE, HANGING\",6,12/1/2010 8:26,2.55,17850.0,United Kingdom\n"
        lines = converted(self.file("data.csv", text.encode()))
        self.assertEqual(lines[1], "536365\t85123A\tWHITE, HANGING\t6\t2010-12-01T08:26:00\t2.55\t17850\tUnited Kingdom")


if __name__ == "__main__":
    unittest.main()
