/* Validates every JSON file of a directory as a FHIR R4 resource with the instance validator of HAPI. Prints a line an
 * error: "error", file, location, text, and a line a file when it is done. Exit 1 when a file has an error. */
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import ca.uhn.fhir.validation.ValidationResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

public class Validate {
    static FhirValidator validator() {
        FhirContext context = FhirContext.forR4();
        ValidationSupportChain chain = new ValidationSupportChain(
            new DefaultProfileValidationSupport(context),
            new CommonCodeSystemsTerminologyService(context),
            new InMemoryTerminologyServerValidationSupport(context));
        FhirValidator validator = context.newValidator();
        FhirInstanceValidator instance = new FhirInstanceValidator(chain);
        validator.registerValidatorModule(instance);
        return validator;
    }

    public static void main(String[] arguments) throws Exception {
        FhirValidator validator = validator();
        List<Path> files = new ArrayList<>();
        try (var entries = Files.newDirectoryStream(Paths.get(arguments[0]), "*.json")) {
            entries.forEach(files::add);
        }
        Collections.sort(files);
        boolean good = true;
        for (Path file : files) {
            ValidationResult result = validator.validateWithResult(Files.readString(file));
            for (SingleValidationMessage message : result.getMessages())
                if (message.getSeverity().ordinal() >= ResultSeverityEnum.ERROR.ordinal()) {
                    good = false;
                    System.out.println("error\t" + file.getFileName() + "\t" + message.getLocationString() + "\t"
                                       + message.getMessage());
                }
            System.out.println("done\t" + file.getFileName());
        }
        System.exit(good ? 0 : 1);
    }
}
